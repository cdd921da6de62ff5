"""Sending what waits in the spool: nothing is removed before the service has it."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from notifhist.run.ids import time_order
from notifhist.run.record import join_tails, result_of, tail_text, without_result
from notifhist.run.sending import Answer, path_of
from notifhist.run.spool import ERRORS, OUTPUT, RECORD, REJECTED, TEMPORARY, Spool, SpoolRefused, line_of

NEVER_TAKEN = (400, 404, 413)
"""Answers that a record gets again however often it is sent; every other failure may pass."""
_LEFTOVER_S = 3600
"""A file of no record that is so old was left by a process that was killed between two steps."""


class SendsRecords(Protocol):
    """The service, or what stands for it."""

    def send(self, record: Mapping[str, Any]) -> Answer:
        """Create or replace the item of a record."""

    def close(self) -> None:
        """Close the connection."""


class Flush:
    """One pass over the spool of one user, or several, with what became of its records."""

    def __init__(self, spool: Spool, sender: SendsRecords) -> None:
        self._spool, self._sender = spool, sender
        self.sent = self.rejected = self.dropped = 0
        self.problem: Answer | None = None
        """Why it stopped before the end."""
        self.messages: list[str] = []
        self._running: set[str] = set()

    def run(
        self, *, older_than_s: float | None = None, limit_bytes: int | None = None, pauses_s: Sequence[float] = ()
    ) -> None:
        """Send all that waits, oldest first, records that come meanwhile included. Raises OSError.

        Returns at once if another process sends: that one sends these records too. `older_than_s`: do not send what
        is older; `limit_bytes`: drop the oldest beyond; `pauses_s`: how long to wait for a service that is away.
        """
        while self.problem is None and self.waiting():  # again: one may have come as the lock was given back
            with self._spool.locked() as is_ours:
                if not is_ours:
                    return
                self._sweep()
                if older_than_s is not None:
                    self._reject_old(time.time() - older_than_s)
                if limit_bytes is not None:
                    self._drop(limit_bytes)
                self._send_all(pauses_s)

    def waiting(self) -> list[str]:
        """Return the names of the records that can be sent, oldest first."""
        return [name for name in records_in(self._spool) if name not in self._running or not self._runs(name)]

    def _runs(self, name: str) -> bool:
        return self._spool.is_running(name.removesuffix(RECORD))

    def _send_all(self, pauses_s: Sequence[float]) -> None:
        left_s = list(pauses_s)
        while names := self.waiting():
            sent = self.sent
            for name in names:
                with suppress(FileNotFoundError):
                    self._send(name)
                if self.problem is not None:
                    break
            if self.sent > sent:
                left_s = list(pauses_s)
            if self.problem is None:
                continue
            if not left_s or not self.problem.may_pass:
                return
            time.sleep(left_s.pop(0))
            self.problem = None

    def _send(self, name: str) -> None:
        item_id = name.removesuffix(RECORD)
        is_running = self._runs(name)  # before reading: a wrapper ends after its last record
        try:
            record = json.loads(self._spool.read(name))
            path_of(record)
            if _is_in_progress(record):
                if is_running:
                    self._running.add(name)
                    return
                record = self._finish(name, record)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, SpoolRefused) as error:
            self._reject(name, f"not a record: {error!r}")
            return
        answer = self._sender.send(record)
        if 200 <= answer.status < 300:
            self._spool.remove_run(item_id)
            self.sent += 1
        elif answer.status in NEVER_TAKEN:
            self._reject(name, answer.text)
        else:
            self.problem = answer

    def _finish(self, name: str, record: dict[str, Any]) -> dict[str, Any]:
        """Return the record of a command whose wrapper was killed, as it ends now."""
        item_id = name.removesuffix(RECORD)
        tails: list[str] = []
        for ending in (OUTPUT, ERRORS):
            with suppress(OSError):
                tails.append(tail_text(self._spool.read(item_id + ending)))
        record = without_result(record, join_tails(tails))
        with suppress(OSError):  # on a full disk it is finished again the next time
            self._spool.write(name, line_of(record))
        return record

    def _reject(self, name: str, reason: str) -> None:
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

    def _reject_old(self, before: float) -> None:
        """Reject what was written before a time, in seconds since the epoch."""
        for name in self.waiting():
            if self._spool.stat(name).st_mtime < before and not self._runs(name):
                self._reject(name, "older than --older-than, not sent")

    def _drop(self, limit_bytes: int) -> None:
        """Drop the oldest, until the rest has at most so many bytes."""
        sizes = {name: self._spool.stat(name).st_size for name in self.waiting()}
        total = sum(sizes.values())
        for name, size in sizes.items():
            if total <= limit_bytes:
                break
            if self._runs(name):
                continue
            self._spool.remove_run(name.removesuffix(RECORD))
            total -= size
            self.dropped += 1
            self.messages.append(f"dropped {name}: beyond --limit-bytes")

    def _sweep(self) -> None:
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


def _is_in_progress(record: dict[str, Any]) -> bool:
    """Say whether a record is the first one of a run."""
    return record["item"].get("source", {}).get("feed") == "run" and result_of(record)["in_progress"] is True
