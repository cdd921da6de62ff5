"""The main thread polls, and a stand-in does while the main thread is long in something."""

import threading
import time

from notifhist.server import polling
from notifhist.server.polling import Polling


class Noted:
    """What polls was asked to do, and by which threads."""

    def __init__(self) -> None:
        self.polled_by: list[threading.Thread] = []
        self.polls, self.roused = threading.Event(), threading.Event()
        self.calls = 0
        self.polling = Polling(self.poll, self.roused.set, self.call)

    def poll(self) -> None:
        self.polled_by.append(threading.current_thread())
        self.polls.set()
        self.roused.wait(20)

    def wait_for_polls(self) -> None:
        assert self.polls.wait(20)

    def call(self) -> None:
        self.calls += 1


def test_a_stand_in_polls_until_the_main_thread_is_back() -> None:
    noted = Noted()
    for times in (1, 2):
        noted.polls.clear()
        noted.roused.clear()
        noted.polling.leave(noted.wait_for_polls)
        assert len(noted.polled_by) == noted.calls == times
        assert threading.current_thread() not in noted.polled_by
        assert not noted.polling.has_stand_in


def test_nobody_stands_in_where_nothing_takes_long() -> None:
    noted = Noted()
    until = time.monotonic() + 5 * polling.PATIENCE_S
    while time.monotonic() < until:
        noted.polling.leave(lambda: None)
    assert noted.polled_by == []


def test_the_stand_in_says_that_it_polls_and_leaves_after_an_error_too() -> None:
    noted, told = Noted(), []

    def fail() -> None:
        noted.polls.wait(20)
        told.append(noted.polling.has_stand_in)
        raise RuntimeError("an answer that fails")

    try:
        noted.polling.leave(fail)
    except RuntimeError:
        told.append(noted.polling.has_stand_in)
    assert told == [True, False]
