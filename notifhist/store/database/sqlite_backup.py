"""SQLite's online backup: a copy of the file, page by page, while others write."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from notifhist.store.database.dialect import Report
from notifhist.store.database.errors import BackupFailed

_PAGES = 256
"""Pages that are copied between two reports: 8 MB in files that this service has made."""
_STEPS = 500_000
"""Instructions of SQLite's virtual machine, some tens of ms."""


def back_up(source: sqlite3.Connection, path: Path, report: Report) -> None:
    """Copy the database as it is now into the empty file at `path`, then check the copy. Raises BackupFailed.

    The caller syncs the file. A transaction that reads is held meanwhile: otherwise the copy begins anew whenever
    somebody has written, and would never end beside a busy service. The log grows until the end by what others write.
    """
    done = known = 0

    def progress(status: int, remaining: int, total: int) -> None:
        nonlocal done, known
        report(total - remaining - done, total - known)
        done, known = total - remaining, total

    with closing(sqlite3.connect(path, isolation_level=None)) as target:
        # What a crash leaves behind is thrown away, so nothing is written twice, and nothing synced in between.
        target.execute("PRAGMA journal_mode = off")
        target.execute("PRAGMA synchronous = off")
        source.execute("BEGIN")
        try:
            source.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # the snapshot begins here
            source.backup(target, pages=_PAGES, progress=progress)
        except sqlite3.OperationalError as error:
            raise BackupFailed(f"the copy could not be made: {error}") from error
        finally:
            if source.in_transaction:  # SQLite itself ends one after some errors
                source.execute("ROLLBACK")
    _check(path)


def _check(path: Path) -> None:
    """Raise BackupFailed unless the copy is a sound database.

    As it is immutable, SQLite makes no log beside it, which the header of a file in WAL mode would have it do.
    """
    url = f"file://{quote(os.fsencode(path.absolute()))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(url, uri=True, isolation_level=None)) as copy:
            # A signal is heard only where Python runs; what it raises there ends the check.
            copy.set_progress_handler(lambda: None, _STEPS)
            found = [str(row[0]) for row in copy.execute("PRAGMA quick_check(5)")]
    except sqlite3.OperationalError as error:
        raise BackupFailed(f"the copy could not be checked: {error}") from error
    except sqlite3.DatabaseError as error:  # damage that the check itself stumbles over
        found = [str(error)]
    if found != ["ok"]:
        raise BackupFailed(f"the copy is damaged, as the database most likely is: {'; '.join(found)}")
