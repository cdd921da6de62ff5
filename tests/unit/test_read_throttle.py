import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from notifhist.server.read_throttle import throttle_reads

LONG_S = 60.0


def call(app: Any, method: str = "GET") -> list[bytes]:
    return list(app({"REQUEST_METHOD": method}, None))


class Meeting:
    """An application in which each request waits for another: alone, it would wait until the test fails."""

    def __init__(self) -> None:
        self._barrier = threading.Barrier(2, timeout=LONG_S)

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        self._barrier.wait()
        return [b"met"]


def test_reads_are_answered_one_at_a_time() -> None:
    inside = threading.Semaphore(1)

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        assert inside.acquire(blocking=False)
        for _ in range(100):
            threading.Event().wait(0)  # lets other threads go on
        inside.release()
        return [b"alone"]

    alone = throttle_reads(app, patience_s=LONG_S)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: call(alone), range(40))) == [[b"alone"]] * 40


@pytest.mark.parametrize(
    ("methods", "patience_s"), [(("GET", "HEAD"), 0.01), (("POST", "PUT"), LONG_S), (("GET", "POST"), LONG_S)]
)
def test_a_read_that_has_waited_and_a_write_proceed(methods: tuple[str, str], patience_s: float) -> None:
    app = throttle_reads(Meeting(), patience_s)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda method: call(app, method), methods)) == [[b"met"]] * 2


def test_the_next_read_proceeds_after_an_error_too() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        raise RuntimeError("failed")

    failing = throttle_reads(app, patience_s=LONG_S)
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            error = pool.submit(call, failing).exception(timeout=LONG_S / 2)
            assert isinstance(error, RuntimeError)
