import logging
import time
from contextlib import closing
from itertools import cycle
from types import SimpleNamespace

import pytest

from notifhist.clock import Clock
from notifhist.factory import create_app
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.store.database import Database, ensure_connected, postgresql, server_time
from notifhist.store.database.server_time import ServerTime


def ticks(ahead_ms: int = 0) -> int:
    return time.time_ns() // 100 + ahead_ms * TICKS_PER_MS


class Server:
    """A server that is asked at a time of its own, which its answers take: no test waits for them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead_ms, self._now = 0, 10**16
        monkeypatch.setattr(server_time, "time", SimpleNamespace(time_ns=lambda: self._now * 100, **CLOCKS))

    def looked_at(self, shared: ServerTime, *took_ms: int) -> float:
        """Return by how much it is ahead, in ms, once its answers have taken so long in turn, on the way back."""
        took = cycle(took_ms)

        def ask() -> int:
            told = self._now + self.ahead_ms * TICKS_PER_MS
            self._now += next(took) * TICKS_PER_MS
            return told

        shared.look(ask)
        return shared.ahead_ticks / TICKS_PER_MS


CLOCKS = {"time": time.time, "monotonic": time.monotonic}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(monkeypatch)


@pytest.mark.parametrize("ahead_ms", [60_000, -60_000, 2_000, -2_000])
def test_a_clock_that_is_off_is_set_by_the_servers(ahead_ms: int, caplog: pytest.LogCaptureFixture) -> None:
    shared = ServerTime()
    before = ticks(ahead_ms)
    shared.look(lambda: ticks(ahead_ms))
    now = Clock(None, lambda: shared.ahead_ticks).now_ticks()
    assert before - 100 * TICKS_PER_MS < now < ticks(ahead_ms) + 100 * TICKS_PER_MS
    assert f"{ahead_ms // 1000:+d}.0 s off" in caplog.text


@pytest.mark.parametrize("ahead_ms", [0, 900, -900])
def test_clocks_that_nearly_agree_are_taken_as_they_are(ahead_ms: int, caplog: pytest.LogCaptureFixture) -> None:
    shared = ServerTime()
    with caplog.at_level(logging.WARNING):
        shared.look(lambda: ticks(ahead_ms))
    assert shared.ahead_ticks == 0
    assert caplog.text == ""


def test_a_slow_answer_neither_hides_a_difference_nor_ends_one(server: Server) -> None:
    shared = ServerTime()
    server.ahead_ms = 1500
    assert server.looked_at(shared, 600, 2) == 1499
    assert server.looked_at(shared, 600, 2) == 1499
    assert server.looked_at(shared, 600) == 1499
    assert server.looked_at(shared, 4000) == 1499


def test_no_difference_is_made_up_of_slow_answers(server: Server) -> None:
    assert server.looked_at(ServerTime(), 4000) == 0


def test_clocks_that_differ_by_a_second_do_not_flip(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    shared, found = ServerTime(), list[float]()
    for server.ahead_ms in (990, 1010, 990, 1010, 600, 510):
        found.append(server.looked_at(shared, 0))
    assert found == [0, 1010, 990, 1010, 600, 510]
    assert len(caplog.records) == 1
    server.ahead_ms = 490
    assert server.looked_at(shared, 0) == 0
    server.ahead_ms = 990
    assert server.looked_at(shared, 0) == 0
    assert [each.message for each in caplog.records[1:]] == [
        "the database server's clock agrees with this machine's again, which counts"
    ]


def test_a_frozen_clock_is_off_by_nothing() -> None:
    assert Clock(5, lambda: 10**9).now_ms() == 5


def test_the_server_is_asked_again_when_our_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = ServerTime()
    assert shared.is_due()
    shared.look(lambda: ticks(60_000))
    assert not shared.is_due()
    set_by_s = server_time._set_by_s()
    monkeypatch.setattr(server_time, "_set_by_s", lambda: set_by_s + 60)
    assert shared.is_due()
    shared.look(ticks)
    assert shared.ahead_ticks == 0
    assert not shared.is_due()


def test_the_server_is_asked_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_time, "LOOK_EVERY_S", 0.0)
    shared = ServerTime()
    shared.look(ticks)
    assert shared.is_due()


def test_the_primary_is_asked_and_its_replica_is_not(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(postgresql, "_NOW_TICKS", f"{postgresql._NOW_TICKS} + {60 * 10**7}")
    service = create_app({"DATABASE_URL": postgres_database, "REPLICA_URL": postgres_database}).extensions["notifhist"]
    with closing(service.sources.replica.db) as replica, closing(service.db) as primary:
        for replica_or_primary, told in ((replica, ""), (primary, "+60.0 s off")):
            ensure_connected(replica_or_primary)
            assert replica_or_primary.is_current()
            assert told in caplog.text
            assert bool(caplog.text) is bool(replica_or_primary.ahead_ticks()) is bool(told)


def test_a_machine_agrees_with_its_own_server(db: Database) -> None:
    assert db.ahead_ticks() == 0
    assert db.is_current()
