"""A test may prepare the service from other threads than its own."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from notifhist.testing import Notifhist, faults
from notifhist.testing.clock import SetClock
from notifhist.testing.files import Files
from notifhist.testing.local import LocalServer
from notifhist.testing.process import PATIENCE_S
from tests.testing.test_notifhist import FIXTURES, HISTORY, states


def deleted_but_open(folder: Path) -> list[str]:
    files = (os.path.realpath(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd"))
    return [path for path in files if path.startswith(str(folder)) and path.endswith(" (deleted)")]


def test_any_thread_prepares_and_keeps_nothing_open(notifhist: Notifhist, notifhist_server: LocalServer) -> None:
    with ThreadPoolExecutor(4) as threads:
        for item in [threads.submit(notifhist.item, state=state) for state in "ABCDEFGH"]:
            item.result()
        assert threads.submit(notifhist.load, FIXTURES / "published/123456").result() > 0
        threads.submit(notifhist.assert_both, HISTORY).result()
        assert notifhist.get(HISTORY, key=threads.submit(notifhist.key).result()).status == 200
        assert sorted(states(notifhist)) == list("ABCDEFGH")
        notifhist_server.reset({}, None, Files(()))
        assert deleted_but_open(notifhist_server._folder) == []


def test_a_request_under_way_at_a_reset_has_no_database(
    notifhist: Notifhist, notifhist_server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    came, goes_on = Event(), Event()

    def sleep(_: float) -> None:
        came.set()
        goes_on.wait(PATIENCE_S)

    monkeypatch.setattr(faults, "sleep", sleep)
    notifhist.fail(status=200, delay=1)
    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(notifhist.get, HISTORY)
        assert came.wait(PATIENCE_S)
        again = notifhist_server.reset({}, None, Files(()))
        goes_on.set()
        assert late.result().status == 503
    assert again.get(HISTORY).status == 200


def test_a_clock_is_read_while_it_is_let_go() -> None:
    class LetGo(SetClock):
        """One whose time is gone at the second look."""

        looks: Iterator[int | None] = iter((5, None))
        _stands_at = property(lambda self: next(self.looks), lambda self, value: None)

    assert LetGo().now_ticks() == 5
