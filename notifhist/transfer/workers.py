"""Processes that check the lines of large files, one for each CPU: they parse, validate and render.

They are forked before there is a database connection or a thread; so they cost next to nothing to start.
"""

import gc
import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from itertools import cycle, islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple, Self

from notifhist.transfer.files import NDJSON, Chunk, read_chunks, read_lines
from notifhist.transfer.rows import Prepared, prepare

_LARGE = 1024 * 1024
"""Bytes of a file that is worth several processes."""
_AHEAD = 3
"""Chunks that each process is given in advance, so that it need not wait until the others' are taken."""


class _Task(NamedTuple):
    """Lines to check: `size` bytes of a file from `offset` on; `line` is the number of the first."""

    path: Path
    offset: int
    size: int
    line: int
    now_ms: int


def is_large(path: Path) -> bool:
    """Say whether a file is one of lines, and so large that it is worth several processes."""
    return path.suffix in NDJSON and path.is_file() and path.stat().st_size >= _LARGE


def workers_for(paths: Sequence[Path], cpus: int) -> "Workers | nullcontext[None]":
    """Return workers, if a file is worth it; to be called before anything is opened or started."""
    return Workers(cpus) if cpus > 1 and any(map(is_large, paths)) else nullcontext()


class Workers:
    """Processes that wait for work until they are closed, or this process ends."""

    def __init__(self, number: int) -> None:
        self._workers: list[_Worker] = []
        with _sigint_blocked():  # and so it stays in them: what Ctrl-C ends is up to this process
            for _ in range(number):
                self._workers.append(_Worker(self._workers))

    def prepare_file(self, path: Path, now_ms: int) -> Iterator[Prepared]:
        """Yield what is to be stored of a file, chunk by chunk in its order; `now_ms` as in `prepare`."""
        chunks = read_chunks(path)
        tasks = (_Task(path, chunk.offset, len(chunk.data), chunk.line, now_ms) for chunk in chunks)
        turns = cycle(self._workers)
        given: deque[_Worker] = deque()

        def give(most: int) -> None:
            for task in islice(tasks, most):
                worker = next(turns)
                worker.give(task)
                given.append(worker)

        give(_AHEAD * len(self._workers))
        while given:
            yield given.popleft().take()
            give(1)

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        for worker in self._workers:
            worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()


class _Worker:
    def __init__(self, others: Sequence["_Worker"]) -> None:
        """Start the process; `others` run already."""
        context = multiprocessing.get_context("fork")
        self._connection, theirs = context.Pipe()
        inherited = [self._connection, *(other._connection for other in others)]
        self._process = context.Process(target=_work, args=(theirs, inherited), daemon=True)
        self._process.start()
        theirs.close()

    def give(self, task: _Task) -> None:
        """Give it something to do; does not wait for it, since a few tasks always fit into the pipe."""
        with _told_if_it_ends():
            self._connection.send(task)

    def take(self) -> Prepared:
        """Return what it makes of the first task that is not taken yet. Raises OSError, its own too."""
        with _told_if_it_ends():
            result: Prepared | OSError = self._connection.recv()
        if isinstance(result, OSError):
            raise result
        return result

    def close(self) -> None:
        """End it."""
        self._connection.close()
        self._process.terminate()
        self._process.join()


def _work(connection: Connection, inherited: Sequence[Connection]) -> None:
    """Do what is asked for until nobody can ask any more."""
    for each in inherited:
        each.close()  # else its worker would not see that who asks has ended
    gc.freeze()
    with suppress(EOFError, ConnectionError):
        while True:
            connection.send(_done(connection.recv()))


def _done(task: _Task) -> Prepared | OSError:
    try:
        with task.path.open("rb") as file:
            file.seek(task.offset)
            data = file.read(task.size)
    except OSError as error:
        return error
    return prepare(read_lines(Chunk(task.line, task.offset, data)), task.now_ms)


@contextmanager
def _told_if_it_ends() -> Iterator[None]:
    try:
        yield
    except (EOFError, ConnectionError):
        raise ChildProcessError("A process that checked the file has been killed: out of memory?") from None


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
