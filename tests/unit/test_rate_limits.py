import logging
import multiprocessing
import time
from pathlib import Path
from typing import Any

import pytest

from notifhist.clock import Clock
from notifhist.config import parse_rate_limit
from notifhist.store.request_counts import MachineCounter
from notifhist.web.rate_limits import RateLimiter, Usage
from tests.unit.conftest import NOW_MS, SettableClock


def charge(limiter: RateLimiter, account: str = "account") -> Usage:
    usage = limiter.charge(account)
    assert usage is not None
    return usage


def test_it_counts_up_to_the_limit_and_refuses_what_is_beyond(counter: MachineCounter) -> None:
    limiter = RateLimiter(parse_rate_limit("2/minute"), counter, "runs")
    assert charge(limiter) == Usage(limit=2, used=1, window="1 minute", retry_after=60, exceeded=False)
    assert charge(limiter) == Usage(limit=2, used=2, window="1 minute", retry_after=60, exceeded=False)
    assert charge(limiter) == Usage(limit=2, used=2, window="1 minute", retry_after=60, exceeded=True)
    assert charge(limiter, "another").used == 1


def test_what_is_given_back_is_not_counted(counter: MachineCounter) -> None:
    limiter = RateLimiter(parse_rate_limit("2/minute"), counter, "runs")
    for _ in range(5):
        assert charge(limiter).used == 1
        limiter.give_back("account")
    limiter.give_back("account")
    assert [charge(limiter).exceeded for _ in range(3)] == [False, False, True]
    RateLimiter(None, counter, "runs").give_back("account")


def test_no_limit_counts_nothing(counter: MachineCounter) -> None:
    assert RateLimiter(None, counter, "runs").charge("account") is None
    assert not counter.directory.exists()


@pytest.mark.parametrize(
    ("limit", "window"),
    [
        ("50000/day", "24 hours"),
        ("1/2 day", "48 hours"),
        ("1/hour", "1 hour"),
        ("1/3 hour", "3 hours"),
        ("1000/minute", "1 minute"),
        ("1/5 minute", "5 minutes"),
        ("1/60 minute", "1 hour"),
        ("1/90 minute", "90 minutes"),
        ("1/second", "1 second"),
        ("1/30 second", "30 seconds"),
        ("1/month", "720 hours"),
    ],
)
def test_the_window_is_told_in_words(limit: str, window: str, counter: MachineCounter) -> None:
    assert charge(RateLimiter(parse_rate_limit(limit), counter, "runs")).window == window


def test_a_window_starts_with_the_first_request_and_is_over_when_it_ends(
    counter: MachineCounter, clock: SettableClock
) -> None:
    limiter = RateLimiter(parse_rate_limit("1/minute"), counter, "runs")
    assert charge(limiter).retry_after == 60
    clock.at_ms += 59_000
    assert charge(limiter).retry_after == 1
    clock.at_ms += 999
    late = charge(limiter)
    assert (late.exceeded, late.retry_after) == (True, 1)
    clock.at_ms += 1
    assert charge(limiter) == Usage(limit=1, used=1, window="1 minute", retry_after=60, exceeded=False)


@pytest.mark.parametrize(("gone_ms", "retry_after"), [(1, 60), (999, 60), (1000, 59), (1001, 59), (58_999, 2)])
def test_retry_after_is_rounded_up(
    gone_ms: int, retry_after: int, counter: MachineCounter, clock: SettableClock
) -> None:
    limiter = RateLimiter(parse_rate_limit("1/minute"), counter, "runs")
    charge(limiter)
    clock.at_ms += gone_ms
    assert charge(limiter).retry_after == retry_after


def test_a_window_of_a_clock_that_was_ahead_is_over(counter: MachineCounter, clock: SettableClock) -> None:
    limiter = RateLimiter(parse_rate_limit("1/day"), counter, "history")
    charge(limiter)
    clock.at_ms -= 86_400_000
    usage = charge(limiter)
    assert (usage.exceeded, usage.retry_after) == (False, 86_400)


def test_a_frozen_clock_stands_still(tmp_path: Path) -> None:
    clock = Clock(NOW_MS)
    limiter = RateLimiter(parse_rate_limit("1/second"), MachineCounter(tmp_path / "counts", clock), "runs")
    assert not charge(limiter).exceeded
    time.sleep(1.1)
    assert charge(limiter).exceeded


@pytest.mark.parametrize(
    ("namespaces", "accounts"),
    [
        (("runs", "runs"), ("a", "a/1/1/minute")),
        (("runs", "runs"), ("a:b", "a/b")),
        (("runs", "runs"), ("", "/")),
        (("runs", "runs"), ("é", "e\u0301")),
        (("runs", "runs"), ("\ud800", "?")),
        (("runs", "runs"), ("x" * 300, "x" * 301)),
        (("runs", "history"), ("a", "a")),
        (("runs", "runs/a"), ("a/b", "b")),
    ],
)
def test_no_two_accounts_share_a_count(
    namespaces: tuple[str, str], accounts: tuple[str, str], counter: MachineCounter
) -> None:
    for namespace, account in zip(namespaces, accounts, strict=True):
        assert charge(RateLimiter(parse_rate_limit("9/minute"), counter, namespace), account).used == 1


def charge_often(directory: Path, times: int, start: Any) -> list[bool]:
    """Return of each of so many requests whether it was exceeded; all processes wait for one start."""
    clock = Clock()
    limiter = RateLimiter(parse_rate_limit("1500/day"), MachineCounter(directory, clock), "history")
    start.wait(timeout=60)
    return [charge(limiter).exceeded for _ in range(times)]


def test_it_counts_exactly_across_processes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(4) as pool:
        start = manager.Barrier(4)
        results = pool.starmap(charge_often, [(tmp_path / "counts", 500, start)] * 4, chunksize=1)
    exceeded = [each for result in results for each in result]
    assert (len(exceeded), exceeded.count(False)) == (2000, 1500)


def test_a_counter_that_fails_lets_requests_through_and_says_so_once_a_minute(
    counter: MachineCounter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = [1000.0]
    monkeypatch.setattr("notifhist.web.rate_limits.monotonic", lambda: seconds[0])
    limiter = RateLimiter(parse_rate_limit("1/minute"), counter, "runs")
    counter.directory.mkdir(mode=0o700)
    file = counter.directory / "windows"
    file.mkdir()
    with pytest.raises(IsADirectoryError):
        counter.hit("a", 60)
    for now in (1000.0, 1001.0, 1055.0, 1060.0, 1065.0):
        seconds[0] = now
        assert limiter.charge("account") is None
    assert [(record.name, record.levelno) for record in caplog.records] == [
        ("notifhist.web.rate_limits", logging.WARNING)
    ] * 2
    assert str(counter.directory) in caplog.text
    file.rmdir()
    seconds[0] += 5
    assert charge(limiter).used == 1
    assert charge(limiter).exceeded


def test_a_counter_that_fails_is_asked_by_one_request_in_five_seconds(
    counter: MachineCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds, asked = [1000.0], list[float]()
    monkeypatch.setattr("notifhist.web.rate_limits.monotonic", lambda: seconds[0])

    def fail(name: str, window_s: int) -> tuple[int, float]:
        asked.append(seconds[0])
        raise TimeoutError("another process holds the lock of the counts")

    monkeypatch.setattr(counter, "hit", fail)
    limiter = RateLimiter(parse_rate_limit("1/minute"), counter, "runs")
    for now in (1000.0, 1000.1, 1004.9, 1005.0, 1005.1, 1009.9, 1010.0):
        seconds[0] = now
        assert limiter.charge("account") is None
    assert asked == [1000.0, 1005.0, 1010.0]
