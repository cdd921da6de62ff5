import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config

from notifhist.server import threads
from notifhist.server.incoming import Incoming
from notifhist.server.threads import Threads

MAX_WAIT_S = 0.1


def request(method: str = "GET", path: str = "/") -> Any:
    """Return what `Threads` needs of a connection."""
    return SimpleNamespace(path=path, is_read=method == "GET", since=time.monotonic(), answered=threading.Event())


class Blocking:
    """Answers requests, each once it is told to."""

    def __init__(self, number: int, may_stream: Callable[[], bool] = lambda: True) -> None:
        self.started: list[Any] = []
        self.go = threading.Event()
        self._lock = threading.Condition()
        self.threads = Threads(number, self._answer, MAX_WAIT_S, may_stream)

    def _answer(self, connection: Any) -> None:
        with self._lock:
            self.started.append(connection)
            self._lock.notify_all()
        self.go.wait(20)
        connection.answered.set()

    def put(self, *connections: Any) -> list[bool]:
        return [self.threads.put(each, however_late=False) for each in connections]

    def wait_for(self, number: int) -> None:
        with self._lock:
            assert self._lock.wait_for(lambda: len(self.started) >= number, 20)

    def close(self) -> None:
        self.go.set()
        self.threads.end(20)


@contextmanager
def blocking(number: int = 2, may_stream: Callable[[], bool] = lambda: True) -> Iterator[Blocking]:
    with closing(Blocking(number, may_stream)) as each:
        yield each


def test_requests_are_answered_in_the_order_in_which_they_came() -> None:
    with blocking(1) as server:
        first, *others = [request() for _ in range(5)]
        server.put(first)
        server.wait_for(1)
        server.put(*others)
        server.go.set()
        server.wait_for(5)
        assert server.started == [first, *others]


def test_a_read_is_answered_while_all_threads_write() -> None:
    with blocking() as server:
        server.put(*(request("POST") for _ in range(5)))
        server.wait_for(2)
        reads = [request(), request()]
        server.put(*reads)
        server.wait_for(3)
        assert server.started[2] is reads[0]
        server.go.set()
        for each in reads:
            assert each.answered.wait(20)


def test_a_read_that_waits_is_taken_as_the_last_thread_begins_to_write() -> None:
    with blocking() as server:
        server.put(request())
        server.put(request("POST"))
        server.wait_for(2)
        server.put(request("POST"))
        waiting = request()
        server.put(waiting)
        server.go.set()
        assert waiting.answered.wait(20)


def test_health_is_answered_while_all_threads_are_busy() -> None:
    with blocking() as server:
        server.put(*(request() for _ in range(5)), *(request("POST") for _ in range(5)))
        server.wait_for(2)
        health = [request(path=path) for path in threads.HEALTH_PATHS]
        server.put(*health)
        server.wait_for(4)
        assert {each.path for each in server.started[2:4]} == set(threads.HEALTH_PATHS)  # a thread of its own each


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_is_refused_in_a_short_burst_and_the_late_are_in_a_long_one(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "BURST_S", 1000.0)
    with blocking(1) as server:
        server.put(request(method))
        server.wait_for(1)
        waiting = [request(method) for _ in range(3)]
        assert all(server.put(*waiting))
        time.sleep(0.2)
        assert server.put(request(method)) == [True]
        assert list(server.threads.take_late()) == []
        monkeypatch.setattr(threads, "BURST_S", 0.1)
        assert server.put(request(method)) == [False]
        assert server.threads.put(request(method), however_late=True)
        assert list(server.threads.take_late())[:3] == waiting
        other = "POST" if method == "GET" else "GET"
        assert server.put(request(other)) == [True]


def test_a_feed_is_not_refused_where_others_are_but_once_its_sender_has_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "BURST_S", 0.1)
    feed = "/v1.0/t/feeds/grafana/loki/api/v1/push"
    with blocking(1) as server:
        server.put(request("POST"))
        server.wait_for(1)
        other, late_feed = request("POST"), request("POST", feed)
        assert server.put(other, late_feed) == [True, True]
        time.sleep(0.2)
        assert server.put(request("POST"), request("POST", feed)) == [False, True]
        assert list(server.threads.take_late()) == [other]
        monkeypatch.setattr(threads, "FEED_WAIT_S", 0.15)
        assert next(server.threads.take_late()) is late_feed


@pytest.mark.parametrize(
    ("path", "is_feed"),
    [
        ("/feeds/grafana", True),
        ("/v1.0/t/feeds/alertmanager", True),
        ("/v1.0/feeds/feeds/grafana/loki/api/v1/push", True),
        ("/v1.0/t/entities/feeds/alarms/al/notification_history/ch", False),
        ("/entities/en/alarms/feeds/notification_history/ch", False),
        ("/v1.0/feeds/entities", False),
        ("/v1.0/feeds/", False),
        ("/feeds", False),
    ],
)
def test_only_the_path_of_a_feed_is_one(path: str, is_feed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert threads._is_of_feed(request("POST", path)) is is_feed
    monkeypatch.setenv("SCRIPT_NAME", "/history")
    assert threads._is_of_feed(request("POST", f"/history{path}")) is is_feed


def test_an_absolute_target_leads_to_a_feed_too() -> None:
    head = b"POST http://history.example.com/v1.0/t/feeds/grafana HTTP/1.1\r\nHost: other\r\n\r\n"
    assert threads._is_of_feed(request("POST", Incoming(Config(), head, ("127.0.0.1", 1)).path))


def test_what_a_thread_answers_may_become_the_next_request_meanwhile() -> None:
    def answer(connection: Any) -> None:
        connection.is_read = not connection.is_read
        connection.answered.set()

    server = Threads(2, answer, MAX_WAIT_S)
    for method in ("POST", "GET", "GET", "POST") * 5:
        connection = request(method)
        server.put(connection, however_late=False)
        assert connection.answered.wait(20)
    server.end(20)
    assert server._writing == 0


def test_threads_end_with_what_they_answer() -> None:
    server = Blocking(2)
    server.put(request(), request("POST"))
    server.wait_for(2)
    server.close()
    assert not any(each.is_alive() for each in server.threads._threads)


def test_what_is_left_is_for_the_caller_to_take_in_the_order_in_which_it_came() -> None:
    with blocking() as server:
        left = [request("POST"), request(), request(), request("POST")]
        for each in left:
            assert server.threads.put(each, however_late=False, is_left=True)
        assert [server.threads.waiting, *(server.threads.take_left() for _ in range(5))] == [4, *left, None]
        assert not server.threads.waiting
        assert server.started == []


def test_what_was_left_is_answered_once_the_threads_are_called() -> None:
    with blocking(1) as server:
        left = [request("POST"), request(), request()]
        for each in left:
            server.threads.put(each, however_late=False, is_left=True)
        server.go.set()
        server.threads.call_for_left()
        for each in left:
            assert each.answered.wait(20)
        assert server.threads.take_left() is None


def test_streams_and_others_take_turns() -> None:
    with blocking(1) as server:
        first, second = request(), request()
        others = [request(), request("POST"), request()]
        for stream in (first, second):
            server.threads.put_stream(stream, is_left=True)
        for other in others:
            server.threads.put(other, however_late=False, is_left=True)
        assert [server.threads.take_left()] == [first]
        assert server.threads.waiting == len(others)  # no other stream may go on meanwhile
        assert [server.threads.take_left()] == others[:1]
        server.threads.has_streamed(1000)
        assert server.threads.waiting == len([*others[1:], second])
        assert [server.threads.take_left() for _ in range(3)] == [*others[1:], second]
        server.threads.has_streamed(0)
        server.threads.put_stream(first, is_left=True)
        server.threads.put(others[0], however_late=False, is_left=True)
        assert [server.threads.take_left() for _ in range(3)] == [first, others[0], None]


def test_streams_leave_a_thread_to_others() -> None:
    with blocking(3) as server:
        streams = [request() for _ in range(3)]
        for stream in streams:
            server.threads.put_stream(stream)
        server.wait_for(2)
        other = request("POST")
        server.put(other)
        server.wait_for(3)
        assert server.started == [*streams[:2], other]
        assert server.threads.waiting == 0
        server.go.set()
        server.threads.has_streamed(0)
        assert streams[2].answered.wait(20)


def test_a_stream_goes_on_while_all_threads_write() -> None:
    with blocking() as server:
        server.put(request("POST"), request("POST"))
        server.wait_for(2)
        stream = request()
        server.threads.put_stream(stream)
        server.wait_for(3)
        assert server.started[2] is stream


def test_streams_wait_for_who_takes_what_is_left_until_the_threads_may_take_them() -> None:
    allowed: list[bool] = []
    with blocking(may_stream=lambda: bool(allowed)) as server:
        streams = [request() for _ in range(3)]
        for stream in streams:
            server.threads.put_stream(stream)
        other = request()
        server.put(other)
        server.wait_for(1)
        assert server.started == [other]
        assert [server.threads.take_left()] == streams[:1]
        server.threads.has_streamed(0)
        allowed.append(True)
        server.threads.call_for_left()
        server.wait_for(2)
        assert server.started == [other, streams[1]]
