"""The valid records of a file, set aside on disk until all are checked: memory stays flat however large the file."""

import os
import pickle
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import orjson

from notifhist.store.recording import Draft

BATCH_RECORDS = 2000
"""Records that are stored together at most."""
_BATCH_BYTES = 16 * 1024 * 1024
"""A batch ends at this size too: 2,000 items of 2 kB have 15 MB. With 8 MB, to store an item takes 15 µs more."""

_SCHEMA = """PRAGMA journal_mode = off; PRAGMA page_size = 32768; PRAGMA cache_size = -8000;
CREATE TABLE record (n INTEGER PRIMARY KEY, line INTEGER, identity TEXT, draft BLOB);
CREATE INDEX by_identity ON record (identity)"""
_REPEATED = """SELECT later.n, earlier.line, earlier.draft FROM (
    SELECT n, (SELECT min(n) FROM record AS any WHERE any.identity = some.identity) AS first
    FROM record AS some WHERE n >= ?) AS later
JOIN record AS earlier ON earlier.n = later.first WHERE later.first < later.n"""

Line = tuple[int, Draft]
"""A draft with the number of the line in which its record begins."""


@contextmanager
def _naming_the_folder() -> Iterator[None]:
    """Raise OSError for what SQLite raises: the command line would else blame the database of the service."""
    try:
        yield
    except sqlite3.Error as error:
        # As SQLite looks for it: https://www.sqlite.org/tempfiles.html#temporary_file_storage_locations
        folder = os.environ.get("SQLITE_TMPDIR") or tempfile.gettempdir()
        raise OSError(
            f"The temporary folder {folder}, where records are set aside until all are checked, failed: {error}. "
            "Make room there, or name another in SQLITE_TMPDIR."
        ) from error


class Staging:
    """Drafts in the order in which they were added; gone when it is closed."""

    def __init__(self) -> None:
        self.count = 0
        self._next = 0
        self._db = sqlite3.connect("")  # a temporary file
        with _naming_the_folder():
            self._db.executescript(_SCHEMA)

    @_naming_the_folder()
    def add(self, lines: Sequence[Line]) -> list[tuple[Line, int]]:
        """Add drafts; return those that have other content than an earlier draft of the same identity.

        These are not added, and each comes with the line of the earlier one. An equal draft is added again. Raises
        OSError, which names the temporary folder, where that is full.
        """
        start = self._next
        self._next += len(lines)
        values = [(n, line, _identity(draft), pickle.dumps(draft)) for n, (line, draft) in enumerate(lines, start)]
        self._db.executemany("INSERT INTO record VALUES (?, ?, ?, ?)", values)
        contradicting = []
        for n, line, earlier in self._db.execute(_REPEATED, (start,)).fetchall():
            if not lines[n - start][1].equals(_unpickled(earlier).document):
                contradicting.append((lines[n - start], int(line)))
                self._db.execute("DELETE FROM record WHERE n = ?", (n,))
        self.count += len(lines) - len(contradicting)
        return contradicting

    def batches(self) -> Iterator[list[Line]]:
        """Yield the drafts in the batches in which they are stored."""
        batch: list[Line] = []
        size = 0
        for line, draft in self._db.execute("SELECT line, draft FROM record ORDER BY n"):
            batch.append((line, _unpickled(draft)))
            size += len(draft)
            if len(batch) == BATCH_RECORDS or size >= _BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def close(self) -> None:
        """Delete the drafts."""
        self._db.close()


def _identity(draft: Draft) -> str:
    return orjson.dumps([draft.recorder.resource.name, draft.identity]).decode()


def _unpickled(pickled: bytes) -> Draft:
    draft: Draft = pickle.loads(pickled)  # noqa: S301 - written above, to a file of this process alone
    return draft
