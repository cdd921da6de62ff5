"""What says that there is no server, and what a server says that runs and does not let us in."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from urllib.parse import urlsplit

import pytest

from notifhist.factory import create_app
from notifhist.store.database import ERRORS, ensure_connected, is_lost, open_database, sqlstate
from tests.system.commands import run

FATAL = ("FATAL", "SCHWERWIEGEND", "ВАЖНО", "致命错误")


@contextmanager
def server(answer: bytes) -> Iterator[str]:
    """Run a server that gives each caller the same answer; yields the address of a database on it."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                with listener.accept()[0] as caller:
                    caller.recv(4096)
                    caller.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve)
        thread.start()
        yield f"postgresql://ann@127.0.0.1:{listener.getsockname()[1]}/x?sslmode=disable&gssencmode=disable"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def refusal(code: str, fatal: str) -> bytes:
    """Return the answer by which PostgreSQL refuses a login. Source: "Message Formats", ErrorResponse."""
    members = f"S{fatal}\0VFATAL\0C{code}\0MНет\0\0".encode()
    return b"E" + (len(members) + 4).to_bytes(4, "big") + members


def error_of(url: str) -> Exception:
    with pytest.raises(ERRORS) as raised:
        ensure_connected(open_database(url))
    return raised.value


@pytest.mark.parametrize("fatal", FATAL)
def test_a_server_that_starts_or_stops_is_lost_and_one_that_refuses_us_is_not(fatal: str) -> None:
    for code, is_there in {"57P03": False, "53300": True, "3D000": True, "28P01": True}.items():
        with server(refusal(code, fatal)) as url:
            error = error_of(url)
        assert fatal in str(error)
        assert (sqlstate(error), is_lost(error)) == ((code, False) if is_there else (None, True))


def test_a_password_that_was_not_given_is_a_refusal() -> None:
    with server(b"R\0\0\0\x08\0\0\0\x03") as url:  # it asks for one
        assert not is_lost(error_of(url))


def test_where_no_server_answers_it_is_lost(postgres_database: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    assert is_lost(error_of(f"postgresql://ann@127.0.0.1:{port}/x"))
    with server(b"") as url:
        assert is_lost(error_of(url))
    mark = "&" if "?" in postgres_database else "?"
    assert is_lost(error_of(f"{postgres_database}{mark}target_session_attrs=standby"))  # it is there, but no such one


def test_a_wrong_name_is_told_though_there_is_a_replica(postgres_database: str) -> None:
    wrong = urlsplit(postgres_database)._replace(path="/nobodys").geturl()
    assert not is_lost(error_of(wrong))
    app = create_app({"DATABASE_URL": wrong, "REPLICA_URL": postgres_database})
    assert app.test_client().get("/readyz").status_code == 503
    told = run(wrong, "serve", "--port", "0", code=1, REPLICA_URL=postgres_database)
    assert 'database "nobodys" does not exist' in told.output
