"""What is taken out of the spool without being sent: put aside, dropped, or left over."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress

from notifhist.run.ids import time_order
from notifhist.run.spool import ERRORS, OUTPUT, RECORD, REJECTED, TEMPORARY, Spool

_LEFTOVER_S = 3600
"""A file of no record that is so old was left by a process that was killed between two steps."""


class Aside:
    """What has been taken out of a spool, with a message for each."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.rejected = self.dropped = 0
        self.messages: list[str] = []

    def reject(self, name: str, reason: str) -> None:
        """Move a record to where nobody sends it, with the reason beside it."""
        with suppress(FileExistsError):
            os.mkdir(REJECTED, 0o700, dir_fd=self._spool.folder)
        self._spool.rename(name, f"{REJECTED}/{name}")
        item_id = name.removesuffix(RECORD)
        with suppress(OSError):
            self._spool.write_plain(f"{REJECTED}/{item_id}.reason", f"{reason}\n".encode(errors="replace"))
        self._spool.remove_run(item_id)
        self.rejected += 1
        self.messages.append(f"rejected {name}: {reason}")

    def reject_old(self, names: Sequence[str], before: float) -> None:
        """Reject what was written before a time, in seconds since the epoch."""
        for name in names:
            if self._spool.stat(name).st_mtime < before and not self._spool.runs(name):
                self.reject(name, "older than --older-than, not sent")

    def drop(self, names: Sequence[str], limit_bytes: int) -> None:
        """Drop the oldest, until the rest has at most so many bytes."""
        sizes = {name: self._spool.stat(name).st_size for name in names}
        total = sum(sizes.values())
        for name, size in sizes.items():
            if total <= limit_bytes:
                break
            if self._spool.runs(name):
                continue
            self._spool.remove_run(name.removesuffix(RECORD))
            total -= size
            self.dropped += 1
            self.messages.append(f"dropped {name}: beyond --limit-bytes")

    def sweep(self) -> None:
        """Remove files of no record that killed processes left, an hour old."""
        before = time.time() - _LEFTOVER_S
        records = set(records_in(self._spool))
        for ending in (OUTPUT, ERRORS, TEMPORARY):
            for name in self._spool.names(ending):
                item_id = name.lstrip(".").split(".")[0]
                is_left = item_id + RECORD not in records or ending == TEMPORARY
                with suppress(FileNotFoundError):
                    if is_left and self._spool.stat(name).st_mtime < before and not self._spool.is_running(item_id):
                        self._spool.remove(name)


def records_in(spool: Spool) -> list[str]:
    """Return the names of a spool's records, oldest first."""
    return sorted((name for name in spool.names(RECORD) if not name.startswith(".")), key=time_order)
