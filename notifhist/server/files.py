"""How many files a worker may have to have open at once, and the limit that the system sets to that."""

import resource
from contextlib import suppress

CONNECTIONS = 1000
"""How many clients a worker is connected to, at most."""
_BESIDE, _OF_THREAD = 64, 2
"""Files beside those of clients, and more of each thread: its connections to the database. A worker of two threads on
SQLite has 22 open when it answers nobody."""


def files_needed(connections: int, threads: int) -> int:
    """Return how many files a worker opens at most: a client may have a file for its body beside its socket."""
    return 2 * connections + _BESIDE + _OF_THREAD * threads


def allow_files(count: int) -> None:
    """Raise this process's limit of open files to `count`, if it is lower, as far as the system lets it.

    Debian's shells, and systemd, begin with 1024, and allow programs that can use more to take more.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        allowed = count if hard == resource.RLIM_INFINITY else min(count, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def most_files() -> int | None:
    """Return to how many open files `allow_files` may raise the limit; None if there is no limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return None if hard == resource.RLIM_INFINITY else hard
