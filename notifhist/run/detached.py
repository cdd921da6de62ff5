"""The process that sends what is in the spool, after the wrapper has ended."""

import os
from contextlib import suppress

from notifhist.run.process import close_descriptors
from notifhist.run.settings import Settings
from notifhist.run.signals import give_signals_back
from notifhist.run.spool import Spool

_NICE = 10
_PAUSES_S = (1, 2, 3, 4, *(5,) * 10)
"""A service that is away is asked again after at most 5 s; after a minute the next run or the timer sends."""


def start_flushing(settings: Settings) -> None:
    """Start a process that sends; it has left the caller's session, and holds nothing of it open. Raises OSError."""
    left, leaving = os.pipe()
    if os.fork():
        os.close(leaving)
        os.read(left, 1)  # until it has left: a caller may end our whole process group as we end
        os.close(left)
        return
    try:
        os.setsid()
        give_signals_back()
        close_descriptors(keep=())
        for _ in range(3):
            os.open(os.devnull, os.O_RDWR)  # the standard ones
        os.chdir("/")
        os.nice(_NICE)
        with suppress(Exception):  # nobody is there to be told, and the records stay
            _flush(settings)
    finally:
        os._exit(0)


def _flush(settings: Settings) -> None:
    spool = Spool.open(settings.spool)
    with spool.locked() as is_ours:
        if not is_ours:
            return  # who holds it sends our record too
    from notifhist.run.flushing import Flush  # with http.client they cost 40 ms, for which nobody waits here
    from notifhist.run.sending import Sender

    Flush(spool, Sender(settings.url, settings.key_file)).run(pauses_s=_PAUSES_S)
