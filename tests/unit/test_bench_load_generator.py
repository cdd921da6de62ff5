"""The load generator against a server that answers what it is told, in pieces."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle

import pytest

from bench.load_generator import BadAnswer, Request, Server, latencies

ASK = b"GET / HTTP/1.1\r\n\r\n"
LARGE = bytes(range(256)) * 1000


def measured(port: int, seconds: float, most: int, *requests: Request) -> list[float]:
    return latencies(requests, Server("server", port, os.getpid()), seconds, most)


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
        found = measured(port, 60, 10, Request(ASK, body=body), Request(ASK, body=b""))
    assert len(found) == 10
    assert all(0 < each < 60 for each in found)


def test_the_first_answer_does_not_count_and_the_next_request_follows_it() -> None:
    # A body that came at another time than its request would be a bad answer.
    asked = [Request(ASK, body=b"warm"), Request(ASK, body=b"1"), Request(ASK, body=b"2")]
    with answering(answer(b"warm"), answer(b"1"), answer(b"2")) as port:
        assert len(measured(port, 60, 2, *asked)) == 2


def test_nothing_is_sent_when_the_time_is_over() -> None:
    with answering(answer(b"1")) as port:
        assert measured(port, 0, 10, Request(ASK)) == []


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (answer(b"{}", head=b"HTTP/1.1 500 No"), "status"),
        (answer(b"{}", head=b"HTTP/1.1 2000 OK"), "status"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", "Content-Length"),
        (answer(b"[]"), "body"),
        (answer(b"{} "), "body"),
        (answer(b""), "body"),
        (answer(b"{}and more", length=2), "status"),  # that of the next answer
        (b"", "closed"),
    ],
)
def test_an_answer_that_is_not_the_expected_one_ends_it(given: bytes, complaint: str) -> None:
    with answering(given) as port, pytest.raises(BadAnswer, match=complaint):
        measured(port, 60, 5, Request(ASK, body=b"{}"))


def test_another_status_may_be_expected() -> None:
    with answering(answer(b"{}", head=b"HTTP/1.1 201 Created")) as port:
        assert len(measured(port, 60, 5, Request(ASK, status=201))) == 5


def test_one_request_is_answered_by_its_body() -> None:
    with answering(answer(LARGE)) as port:
        assert Server("server", port, os.getpid()).ask(Request(ASK)) == LARGE


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
            measured(listener.getsockname()[1], 60, 5, Request(ASK))
        thread.join()


def test_the_time_of_a_servers_processes_is_counted_and_of_those_that_have_ended_too() -> None:
    burn = "import time; end = time.process_time() + 0.2\nwhile time.process_time() < end: pass"
    parent = (
        f"import subprocess, sys; {burn}\n"
        f"subprocess.run([sys.executable, '-c', {burn!r}]); print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", parent]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        assert 0.4 <= Server("", 0, process.pid).cpu_seconds() < 2
        process.communicate()


def test_a_running_childs_time_is_counted() -> None:
    burn = "import time; end = time.process_time() + 0.2\nwhile time.process_time() < end: pass"
    child = f"import sys; {burn}\nprint(flush=True); sys.stdin.read()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    command = [sys.executable, "-c", parent]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        assert 0.2 <= Server("", 0, process.pid).cpu_seconds() < 2
        process.communicate()
