"""Processes that check the lines of large files, one for each CPU: they parse, validate and render."""

import gc
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager, nullcontext
from multiprocessing.connection import wait
from pathlib import Path

from notifhist.transfer.drafts import Drafted, make_drafts
from notifhist.transfer.files import NDJSON, Chunk, read_chunks, read_lines

_LARGE_BYTES = 1024 * 1024
"""A smaller file is checked before the processes would have started."""
_CHUNKS_AHEAD = 3
"""How many chunks each process is given in advance, so that none is idle until results are fetched."""


class Workers:
    """A pool of processes that check chunks of files."""

    def __init__(self, number: int) -> None:
        self._ahead = number * _CHUNKS_AHEAD
        self._pool = ProcessPoolExecutor(number, multiprocessing.get_context("fork"), _start)
        # All are forked now, while this process has neither threads nor a database connection.
        with _telling_of_killed():
            self._pool.submit(int).result()

    def draft_file(self, path: Path, now_ticks: int) -> Iterator[Drafted]:
        """Yield the drafts of a file, chunk by chunk in its order. Raises OSError, ChildProcessError."""
        pending: deque[Future[Drafted]] = deque()
        with _telling_of_killed():
            for chunk in read_chunks(path):
                task = self._pool.submit(_draft_chunk, path, chunk.line, chunk.offset, len(chunk.data), now_ticks)
                pending.append(task)
                if len(pending) > self._ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def close(self) -> None:
        """End the processes once each has finished its chunk."""
        self._pool.shutdown(cancel_futures=True)


@contextmanager
def _telling_of_killed() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool:
        raise ChildProcessError("A process that checked the file has been killed: out of memory?") from None


def is_large(path: Path) -> bool:
    """Say whether a file has lines, and so many bytes that several processes are worth it."""
    return path.suffix in NDJSON and path.is_file() and path.stat().st_size >= _LARGE_BYTES


@contextmanager
def workers_for(paths: Sequence[Path], cpus: int) -> Iterator[Workers | None]:
    """Yield workers if a file is large and they can be had. Enter it before a thread or a connection exists."""
    if cpus < 2 or not any(map(is_large, paths)):
        yield None
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        workers = Workers(cpus)  # SIGINT stays blocked in them: this process decides what Ctrl-C ends
    except (OSError, ImportError):  # no room for semaphores, which lie in shared memory, or no such thing
        workers = None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with closing(workers) if workers else nullcontext():
        yield workers


def _start() -> None:
    """Prepare a process: it ends when its parent is killed."""
    gc.freeze()  # garbage collections skip the objects that are shared with the parent
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _draft_chunk(path: Path, line: int, offset: int, size: int, now_ticks: int) -> Drafted:
    """Return the drafts of `size` bytes of a file from `offset` on; `line` is the number of the first line."""
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(size)
    return make_drafts(read_lines(Chunk(line, offset, data)), now_ticks)
