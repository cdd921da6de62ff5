"""Signals that are meant for the command reach it, and its end wakes the loop that waits for it."""

import os
import select
import signal
import time
from contextlib import suppress
from types import FrameType

from notifhist.run.inherited import IGNORED_BY_PYTHON, ignored_before_python

_ENDING = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
_OF_FAULTS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS)
"""Faults of the wrapper itself."""
_NOT_FORWARDED = {
    *(signal.SIGKILL, signal.SIGSTOP),  # have no handler
    *(signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH),  # end nothing
    *IGNORED_BY_PYTHON,  # come of what is written here: copying tells the command in its own way
    *_OF_FAULTS,
}
HANDLED = tuple(sorted(signal.valid_signals() - _NOT_FORWARDED))
"""All but SIGCHLD are forwarded: they end a process that does not handle them, as alarm(2) before exec does."""
_TYPED = (signal.SIGINT, signal.SIGQUIT)


class Signals:
    """Takes the signals over. Ones that the caller ignored stay ignored, by the command too."""

    def __init__(self) -> None:
        ignored = [each for each in HANDLED if signal.getsignal(each) == signal.SIG_IGN]
        self.ignored = [*ignored, *ignored_before_python()]
        """What the caller ignored, which the command inherits."""
        self.wakeup, sender = os.pipe()
        """Readable when a signal has come."""
        for end in (self.wakeup, sender):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(sender, warn_on_full_buffer=False)
        self.to_end: int | None = None
        """The last signal that asked for the end; none of those that the command may take for a message."""
        self._pid: int | None = None
        self.mask = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        for each in HANDLED:
            if each not in self.ignored or each == signal.SIGCHLD:
                signal.signal(each, self._receive)

    def unblock(self) -> None:
        """Let signals come."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)

    def block(self) -> None:
        """Let signals wait, until the command has been started."""
        signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)

    def forward_to(self, pid: int | None) -> None:
        """Forward to this process from now on, or to none."""
        self._pid = pid

    def wait(self, seconds: float) -> int | None:
        """Wait so long, or until a signal asks for the end; return that signal."""
        deadline = time.monotonic() + seconds
        while self.to_end is None and (left_s := deadline - time.monotonic()) > 0:
            select.select([self.wakeup], [], [], left_s)
            self.clear_wakeup()
        return self.to_end

    def give_back(self) -> None:
        """Let signals do again what they did when we came."""
        give_signals_back()
        for each in self.ignored:
            signal.signal(each, signal.SIG_IGN)
        self.unblock()

    def clear_wakeup(self) -> None:
        """Take what has woken us."""
        with suppress(BlockingIOError):
            while os.read(self.wakeup, 4096):
                pass

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGCHLD:
            return
        if number in _ENDING or self._pid is None:  # with no command to decide, it would have ended a bare one
            self.to_end = number
        if self._pid is not None and not (number in _TYPED and _in_foreground()):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self._pid, number)


def give_signals_back() -> None:
    """Let signals do again what they do by default, in a child that is no command."""
    signal.set_wakeup_fd(-1)
    for each in HANDLED:
        signal.signal(each, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)


def _in_foreground() -> bool:
    """Say whether we belong to what keys interrupt: then the command, in the same group, has got the signal too."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
