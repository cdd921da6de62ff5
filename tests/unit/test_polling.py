"""A thread polls, and the main thread does while that one is long in something."""

import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import repeat, takewhile

import pytest

from notifhist.server import polling
from notifhist.server.polling import Polling


class Noted:
    """What was asked of those who poll."""

    def __init__(self) -> None:
        self.polled_by: list[threading.Thread] = []
        self.roused, self.done = threading.Event(), threading.Event()
        self.calls = 0
        self.polling = Polling(self.poll, self.roused.set, self.call)

    def poll(self) -> None:
        self.polled_by.append(threading.current_thread())
        assert self.polling.has_stand_in
        self.roused.wait(0.2)

    def call(self) -> None:
        self.calls += 1

    def serve(self, doings: Iterable[Callable[[], object]]) -> None:
        """Have a thread do all this, away from polling, while this one stands in."""

        def serve() -> None:
            for do in doings:
                self.polling.leave(do)
            self.done.set()

        self.polling.begin(serve)
        deadline = time.monotonic() + 20
        while not self.done.is_set() and time.monotonic() < deadline:
            self.polling.stand_in(0.01, lambda: True)
        assert self.done.is_set()


def test_the_main_thread_polls_until_the_other_is_back() -> None:
    noted = Noted()
    noted.serve([lambda: time.sleep(0.3)] * 2)
    assert set(noted.polled_by) == {threading.current_thread()}
    assert noted.calls == 2
    assert noted.roused.is_set()
    assert not noted.polling.has_stand_in


def test_nobody_stands_in_where_nothing_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "PATIENCE_S", 0.3)
    noted = Noted()
    until = time.monotonic() + 0.8
    noted.serve(takewhile(lambda _: time.monotonic() < until, repeat(time.monotonic)))
    assert noted.polled_by == []


def test_the_main_thread_takes_over_while_the_other_is_away() -> None:
    noted, goes_on = Noted(), threading.Event()
    noted.polling.begin(lambda: noted.polling.leave(partial(goes_on.wait, 20)))
    noted.polling.stand_in(20, lambda: False)
    noted.polling.take()
    assert noted.polling.has_stand_in
    goes_on.set()
