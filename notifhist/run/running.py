"""Running a command once: its streams are copied, signals reach it, and the time that it has may be limited."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from notifhist.run.process import CannotExecute, Environment, explain, spawn
from notifhist.run.record import Ended
from notifhist.run.signals import Signals
from notifhist.run.streams import Outputs, Stream, copy_some

KILL_AFTER_S = 5.0
"""How long a command whose time is up may take to end after TERM."""
_EXIT_CODE_TIME_UP = 124


class CannotStart(Exception):
    """No process can be made for the command, or no file: it has not been run."""


class Outcome(NamedTuple):
    """How a run ended: for the record, and as the wait status that our caller is to see."""

    ended: Ended
    status: int
    is_time_up: bool = False


class Command:
    """A command, with what every run of it needs."""

    def __init__(self, words: Sequence[str], environment: Environment, signals: Signals) -> None:
        self._words, self._environment, self._signals = words, environment, signals

    def run(self, outputs: Outputs, files: Mapping[int, int], timeout_s: float) -> Outcome:
        """Run it until it ends. `files`: its standard descriptors; `timeout_s`: 0 for none.

        Raises CannotStart.
        """
        began_ns, began = time.time_ns(), time.monotonic_ns()
        self._signals.block()
        try:
            pid = spawn(self._words, self._environment, files, self._signals.ignored, self._signals.mask)
            self._signals.forward_to(pid)
        except CannotExecute as error:
            code = explain(self._words, error)
            note = f"exit {code}: {error.strerror}"
            return Outcome(Ended(began_ns, time.monotonic_ns() - began, code, "", note), _wait_status(code))
        except OSError as error:
            raise CannotStart(str(error)) from error
        finally:
            self._signals.unblock()
            for stream in outputs.copied:
                stream.close_inner()
        status, is_time_up = self._wait(pid, outputs.copied, timeout_s)
        self._signals.forward_to(None)
        taken_ns = time.monotonic_ns() - began
        self._drain(outputs.copied)
        note = f"timed out after {timeout_s:g} s" if is_time_up else ""
        ended = Ended(began_ns, taken_ns, os.waitstatus_to_exitcode(status), outputs.tail, note)
        return Outcome(ended, _wait_status(_EXIT_CODE_TIME_UP) if is_time_up else status, is_time_up)

    def _wait(self, pid: int, streams: Sequence[Stream], timeout_s: float) -> tuple[int, bool]:
        """Return the wait status, and whether its time was up."""
        deadlines = [(timeout_s, signal.SIGTERM), (timeout_s + KILL_AFTER_S, signal.SIGKILL)] if timeout_s else []
        began, is_time_up = time.monotonic(), False
        while True:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return status, is_time_up
            left_s = deadlines[0][0] - (time.monotonic() - began) if deadlines else None
            if left_s is not None and left_s <= 0:
                os.kill(pid, deadlines.pop(0)[1])
                is_time_up = True
                continue
            copy_some(streams, left_s, self._signals.wakeup)
            self._signals.clear_wakeup()

    def _drain(self, streams: Sequence[Stream]) -> None:
        """Take all that the command has written; what a slow caller does not read yet is left to `copy_rest`."""
        for stream in streams:
            stream.limit()
            stream.take_all()
        while any(stream.waits for stream in streams) and copy_some(streams, 0):
            pass


def _wait_status(exit_code: int) -> int:
    return exit_code << 8
