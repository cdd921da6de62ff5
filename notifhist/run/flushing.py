"""Sending what waits in the spool: nothing is removed before the service has it."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from notifhist.run.aside import Aside, records_in
from notifhist.run.record import result_of, without_result
from notifhist.run.sending import Answer, Sender, path_of
from notifhist.run.spool import ERRORS, OUTPUT, RECORD, Spool, SpoolRefused, line_of
from notifhist.run.texts import join_tails, tail_text

_OF_THE_RECORD = (400, 413, 422)
"""Answers that other records need not get. The record gets those of the service again however often it is sent."""
_WRONG_URL = "the URL may be wrong, its host or its prefix:"
_FORBIDDEN = 403
"""An answer that is the same for all records of a tenant."""
_NO_TIME = Answer(0, "it takes too long, the next flush goes on")


class Flush:
    """One pass over the spool of one user, or several, with what became of its records."""

    def __init__(self, spool: Spool, sender: Sender) -> None:
        self._spool, self._sender = spool, sender
        self.sent = 0
        self.aside = Aside(spool)
        self.problem: Answer | None = None
        """Why it stopped before the end."""
        self._running: set[str] = set()
        self._deadline = math.inf
        self._kept: dict[str, str] = {}
        """Why records were left where they are, while those behind them were sent."""
        self._forbidden: dict[str, str] = {}
        """Tenants for which the key is not, with what the service said."""

    @property
    def problem_text(self) -> str:
        """Return why records are left, for people; empty if none is."""
        texts = [self.problem.text] if self.problem is not None else list(self._kept.values())[:1]
        return "".join(texts)

    def run(
        self,
        *,
        older_than_s: float | None = None,
        limit_bytes: int | None = None,
        pauses_s: Sequence[float] = (),
        at_most_s: float = math.inf,
    ) -> None:
        """Send all that waits, oldest first, records that come meanwhile included. Raises OSError.

        Returns at once if another process sends: that one sends these records too. `older_than_s`: do not send what
        is older; `limit_bytes`: drop the oldest beyond; `pauses_s`: how long to wait for a service that is away;
        `at_most_s`: begin no record after that.
        """
        self._deadline = time.monotonic() + at_most_s
        while self.problem is None and self.waiting():  # again: one may have come as the lock was given back
            with self._spool.locked() as is_ours:
                if not is_ours:
                    return
                self.aside.sweep()
                if older_than_s is not None:
                    self.aside.reject_old(self.waiting(), time.time() - older_than_s)
                if limit_bytes is not None:
                    self.aside.drop(self.waiting(), limit_bytes)
                self._send_all(pauses_s)

    def waiting(self) -> list[str]:
        """Return the names of the records that can be sent, oldest first."""
        names = [name for name in records_in(self._spool) if name not in self._kept]
        return [name for name in names if name not in self._running or not self._spool.runs(name)]

    def _send_all(self, pauses_s: Sequence[float]) -> None:
        left_s = list(pauses_s)
        while names := self.waiting():
            sent = self.sent
            for name in names:
                if time.monotonic() > self._deadline:
                    self.problem = _NO_TIME
                    return
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
        is_running = self._spool.runs(name)  # before reading: a wrapper ends after its last record
        try:
            record = json.loads(self._spool.read(name))
            path_of(record)
            if _is_in_progress(record):
                if is_running:
                    self._running.add(name)
                    return
                record = self._finish(name, record)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, SpoolRefused) as error:
            self.aside.reject(name, f"not a record: {error!r}")
            return
        except PermissionError as error:
            self._keep(name, f"not readable: {error.strerror}")
            return
        if record["tenant"] in self._forbidden:
            self._keep(name, self._forbidden[record["tenant"]])
            return
        self._note(name, record, self._sender.send(record))

    def _note(self, name: str, record: Mapping[str, Any], answer: Answer) -> None:
        """Do with a record what the service's answer to it asks for."""
        if 200 <= answer.status < 300:
            self._spool.remove_run(name.removesuffix(RECORD))
            self.sent += 1
        elif answer.is_of_wrong_url:  # all records get it
            self.problem = answer._replace(text=f"{_WRONG_URL} {answer.text}")
        elif answer.status in _OF_THE_RECORD and answer.is_ours:
            self.aside.reject(name, answer.text)
        elif answer.status == _FORBIDDEN or answer.status in _OF_THE_RECORD:
            if answer.status == _FORBIDDEN:
                self._forbidden[record["tenant"]] = answer.text
            self._keep(name, answer.text)
        else:
            self.problem = answer

    def _keep(self, name: str, reason: str) -> None:
        """Leave a record for the next time, and go on with those behind it."""
        self._kept[name] = reason
        self.aside.messages.append(f"kept {name}: {reason}")

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


def _is_in_progress(record: dict[str, Any]) -> bool:
    """Say whether a record is the first one of a run."""
    return record["item"].get("source", {}).get("feed") == "run" and result_of(record)["in_progress"] is True
