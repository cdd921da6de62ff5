"""The load generator against a server that answers what it is told, in pieces."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle

import pytest

from bench.load import BadAnswer, Request, measure, take_turns

ASK = b"GET / HTTP/1.1\r\n\r\n"
LARGE = bytes(range(256)) * 1000


def answer(body: bytes, head: bytes = b"HTTP/1.1 200 OK", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return head + b"\r\ncontent-length: %d\r\n\r\n" % size + body


@contextmanager
def answering(*answers: bytes, piece: int = 65_536) -> Iterator[int]:
    """Answer the requests of each connection with `answers`, in turn; yields the port."""

    def talk(connection: socket.socket) -> None:
        with connection:
            for whole in cycle(answers):
                if not connection.recv(len(ASK), socket.MSG_WAITALL) or not whole:
                    return
                for start in range(0, len(whole), piece):
                    connection.sendall(whole[start : start + piece])

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threads.append(threading.Thread(target=talk, args=(connection,)))
            threads[-1].start()

    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in threads:
                thread.join()


@pytest.mark.parametrize("piece", [1, 50, 65_536])
def test_answers_are_counted_and_compared_however_they_arrive(piece: int) -> None:
    body = LARGE if piece > 1 else b"short"
    with answering(answer(body), answer(b""), piece=piece) as port:
        asked = cycle([Request(ASK, body=body), Request(ASK, body=b"")])
        window = measure(asked, port, seconds=60, most=10, warm_up=0, connections=1)
    assert (window.answers, len(window.latencies), window.connections) == (10, 10, 1)


@pytest.mark.parametrize("connections", [1, 3, 8])
def test_no_more_is_sent_than_asked_for_and_all_of_it_is_counted(connections: int) -> None:
    with answering(answer(b"1")) as port:
        window = measure(cycle([Request(ASK)]), port, 60, 20, 0, connections)
    assert window.answers == 20


def test_what_is_under_way_when_the_time_is_over_is_counted() -> None:
    with answering(answer(b"1")) as port:
        window = measure(cycle([Request(ASK)]), port, 0, 1000, 0, 8)
    assert window.answers == 8


def test_the_warm_up_is_not_counted_and_goes_on_with_the_requests() -> None:
    asked = iter([Request(ASK, body=b"warm"), Request(ASK, body=b"1"), Request(ASK, body=b"2")])
    with answering(answer(b"warm"), answer(b"1"), answer(b"2")) as port:
        assert measure(asked, port, 60, 2, 1e-9, 1).answers == 2
    assert next(asked, None) is None


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (answer(b"{}", head=b"HTTP/1.1 500 No"), "status"),
        (answer(b"{}", head=b"HTTP/1.1 2000 OK"), "status"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", "Content-Length"),
        (answer(b"[]"), "body"),
        (answer(b"{} "), "body"),
        (answer(b""), "body"),
        (answer(b"{}and more", length=2), "more than"),
        (b"", "closed"),
    ],
)
def test_an_answer_that_is_not_the_expected_one_ends_it(given: bytes, complaint: str) -> None:
    with answering(given) as port, pytest.raises(BadAnswer, match=complaint):
        measure(cycle([Request(ASK, body=b"{}")]), port, 60, 5, 0, 1)


def test_another_status_may_be_expected() -> None:
    with answering(answer(b"{}", head=b"HTTP/1.1 201 Created")) as port:
        assert measure(cycle([Request(ASK, status=201)]), port, 60, 5, 0, 1).answers == 5


def test_an_answer_that_is_cut_off_ends_it() -> None:
    whole = answer(b"{}" * 1000)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def cut_off() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(len(ASK), socket.MSG_WAITALL)
                connection.sendall(whole[:-1])

        thread = threading.Thread(target=cut_off)
        thread.start()
        with pytest.raises(BadAnswer, match="closed"):
            measure(cycle([Request(ASK)]), listener.getsockname()[1], 60, 5, 0, 1)
        thread.join()


def test_servers_that_take_turns_get_one_request_after_the_other() -> None:
    first = cycle([Request(ASK, body=b"warm"), Request(ASK, body=b"1"), Request(ASK, body=b"2")])
    second = iter([Request(ASK, body=b"a")] * 3)
    with answering(answer(b"warm"), answer(b"1"), answer(b"2")) as one, answering(answer(b"a")) as other:
        found = take_turns([(first, one), (second, other)], 2, 60)
    assert [len(each) for each in found] == [2, 2]
    assert next(second, None) is None


def test_each_gets_a_turn_though_the_time_is_over() -> None:
    with answering(answer(b"1")) as port:
        found = take_turns([(cycle([Request(ASK)]), port)] * 2, 100, 0)
    assert [len(each) for each in found] == [1, 1]


def test_a_bad_answer_ends_the_turns() -> None:
    with answering(answer(b"1")) as port, pytest.raises(BadAnswer, match="body"):
        take_turns([(cycle([Request(ASK, body=b"2")]), port)], 2, 60)
