"""The least that a database can do to keep something: one row, committed and on disk."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

ROW = random.Random(1).randbytes(5000)
"""About as much as is kept of an item of 2 kB, and nothing that could be compressed."""


@contextmanager
def committer(url: str) -> Iterator[Callable[[], object]]:
    """Hold a connection to the database at `url`, for one thread; yields what commits ROW there."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
            for pragma in ("page_size = 32768", "journal_mode = wal", "synchronous = full"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("CREATE TABLE IF NOT EXISTS bare (n INTEGER PRIMARY KEY, row BLOB)")
            yield lambda: connection.execute("INSERT INTO bare (row) VALUES (?)", (ROW,))
        return
    import psycopg  # of the extra `bench`

    with psycopg.connect(url, autocommit=True) as other:
        other.execute("CREATE TABLE IF NOT EXISTS bare (n BIGSERIAL PRIMARY KEY, row BYTEA)")
        yield lambda: other.execute("INSERT INTO bare (row) VALUES (%s)", (ROW,))
