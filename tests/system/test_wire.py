import http.client
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests.http.helpers import CHECK, FAULT_MEMBERS, IN_XML, JSON, RUN_ERROR_MEMBERS, RUNS, XML, item_at, run_of
from tests.system.conftest import MakeService
from tests.system.service import PATIENCE_S, Service, running

NOW_MS = time.time_ns() // 1_000_000
TOO_LARGE = 17 * 2**20
FORWARDED = {
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "history.example.com",
    "X-Forwarded-Port": "443",
    "X-Forwarded-Prefix": "/monitoring",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that the tests below only ask, each about a check of its own."""
    directory = tmp_path_factory.mktemp("service")
    with running(Service(directory, {"DATABASE_URL": f"sqlite:///{directory}/notifhist.db"})) as service:
        yield service


@pytest.fixture(scope="module")
def key(service: Service) -> str:
    return service.create_key()


def connect(service: Service) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=PATIENCE_S)


def exchange(service: Service, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of all that comes back for `request` until the server closes."""
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as sock:
        sock.sendall(request)
        answer = b"".join(iter(lambda: sock.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status_line, *fields = head.decode("latin-1").split("\r\n")
    return int(status_line.split()[1]), dict(each.split(": ", 1) for each in fields), body


BAD_HEADER = b" HTTP/1.1\r\nHost: a\r\ns3cret\r\n"
UNREADABLE = {
    "no request line": (400, JSON, FAULT_MEMBERS, b"s3cret\r\n\r\n"),
    "a bad header": (400, JSON, FAULT_MEMBERS, b"GET /?s3cret" + BAD_HEADER + b"\r\n"),
    "a bad header, XML": (400, IN_XML, FAULT_MEMBERS, b"GET /" + BAD_HEADER + b"Accept: " + XML.encode() + b"\r\n\r\n"),
    "a bad header, runs": (400, JSON, RUN_ERROR_MEMBERS, b"GET " + RUNS.encode() + BAD_HEADER + b"\r\n"),
    "a long line": (414, JSON, FAULT_MEMBERS, b"GET /?" + b"s3cret" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a long header": (431, JSON, FAULT_MEMBERS, b"GET / HTTP/1.1\r\nX: " + b"s3cret" * 2000 + b"\r\n\r\n"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_never_reaches_the_app_is_answered_as_the_app_would(service: Service, name: str) -> None:
    status, content_type, members, request = UNREADABLE[name]
    answered, headers, body = exchange(service, request)
    assert (answered, headers["Content-Type"], headers["Vary"]) == (status, content_type, "Accept")
    found = read_error(body, content_type)
    assert list(found) == members
    assert str(status) in (found.get("code"), str(found.get("httpStatus")))
    assert headers["X-Response-Id"] in found.values()
    assert b"s3cret" not in body
    assert "s3cret" not in service.output() + service.errors()


def read_error(body: bytes, content_type: str) -> dict[str, Any]:
    if content_type == JSON:
        document: dict[str, Any] = json.loads(body)
        return document
    return {str(member.tag): member.text for member in etree.fromstring(body)}


@pytest.mark.parametrize(
    ("trusted", "base"),
    [("0", None), ("1", "https://history.example.com/monitoring")],
    ids=["not by default", "one if told so"],
)
def test_proxies_are_believed_only_if_told_so(
    sqlite_database: str, make_service: MakeService, trusted: str, base: str | None
) -> None:
    settings = {} if trusted == "0" else {"TRUSTED_PROXIES": trusted}
    service = make_service(sqlite_database, **settings).start()
    key = service.create_key()
    first, second = item_at(NOW_MS, 1), item_at(NOW_MS, 2)
    answer = service.ask(CHECK, key, "POST", json=first, headers=FORWARDED)
    assert answer.headers["Location"] == f"{base or service.url}{CHECK}/{first['id']}"
    service.ask(CHECK, key, "POST", json=second)
    page = service.ask(f"{CHECK}?limit=1", key, headers=FORWARDED).json()
    assert page["metadata"]["next_href"] == f"{base or service.url}{CHECK}?limit=1&marker={second['id']}"


def chunks(size: int, of: bytes = b" ") -> Iterator[bytes]:
    """Yield pieces that make up `size` bytes."""
    for start in range(0, size, 2**16):
        yield of * min(2**16, size - start)


def test_a_chunked_body_is_read(service: Service, key: str) -> None:
    items = [item_at(NOW_MS, number, status="x" * 1000) for number in range(200)]
    body = json.dumps({"values": items, "metadata": {}}).encode()
    pieces = (body[start : start + 1000] for start in range(0, len(body), 1000))
    url = f"{CHECK}-chunked"
    answer = service.ask(url, key, "POST", data=pieces, headers={"Content-Type": JSON})
    assert answer.request.headers["Transfer-Encoding"] == "chunked"
    assert answer.status_code == 201
    assert service.ask(f"{url}?limit=1000", key).json()["values"] == items


@pytest.mark.parametrize("chunked", [False, True], ids=["by its length", "in chunks"])
@pytest.mark.parametrize("path", [CHECK, RUNS], ids=["history", "runs"])
def test_a_body_that_is_too_large_is_refused_to_the_one_who_sends_it(
    service: Service, key: str, path: str, chunked: bool
) -> None:
    headers = {"X-Auth-Token": key, "Content-Type": JSON}
    headers |= {} if chunked else {"Content-Length": str(TOO_LARGE)}
    with closing(connect(service)) as connection:
        connection.request("POST", path, chunks(TOO_LARGE), headers, encode_chunked=chunked)
        with connection.getresponse() as response:
            error = json.loads(response.read())
            assert (response.status, response.headers["Content-Type"]) == (413, JSON)
    assert "requestTooLargeError" in error.values() or error["httpStatus"] == 413
    assert service.ask(CHECK, key).status_code == 200


def test_a_length_that_is_too_large_is_refused_before_the_body_is_sent(service: Service, key: str) -> None:
    head = f"POST {CHECK} HTTP/1.1\r\nHost: a\r\nX-Auth-Token: {key}\r\nContent-Type: {JSON}\r\n"
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as sock:
        sock.sendall(f"{head}Content-Length: {TOO_LARGE}\r\n\r\n".encode())
        assert sock.recv(65_536).startswith(b"HTTP/1.1 413 ")


def curl(service: Service, key: str, *arguments: str) -> tuple[str, str]:
    """Return what curl prints on standard output and, of the exchange, on standard error."""
    command = ["curl", "--silent", "--verbose", "--noproxy", "*", "-H", f"X-Auth-Token: {key}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    return done.stdout, done.stderr


def test_curl_is_told_to_send_the_body_it_announces(service: Service, key: str, tmp_path: Path) -> None:
    item = item_at(NOW_MS, 1, status="x" * 1_500_000)
    file = tmp_path / "item.json"
    file.write_text(json.dumps(item))
    arguments = ("-H", "Expect: 100-continue", "--expect100-timeout", "30", "-H", f"Content-Type: {JSON}")
    url = f"{service.url}{CHECK}-expected"
    answer, told = curl(service, key, *arguments, "--data-binary", f"@{file}", url)
    assert re.findall(r"^< HTTP/1\.1 (\d+)", told, re.MULTILINE) == ["100", "201"]
    assert json.loads(answer) == item


def test_a_body_that_is_announced_and_too_large_is_refused(service: Service, key: str, tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(b" " * TOO_LARGE)
    arguments = ("-H", "Expect: 100-continue", "-H", f"Content-Type: {JSON}", "--data-binary", f"@{file}")
    answer, told = curl(service, key, *arguments, service.url + CHECK)
    assert re.findall(r"^< HTTP/1\.1 (\d+)", told, re.MULTILINE)[-1] == "413"
    assert json.loads(answer)["type"] == "requestTooLargeError"


def test_head_answers_as_get_does_but_without_a_body(service: Service, key: str) -> None:
    item, url = item_at(NOW_MS, 1), f"{CHECK}-head"
    assert service.ask(url, key, "POST", json=item).status_code == 201
    run = service.ask(RUNS, key, "POST", json=run_of()).json()
    client = service.client(key)
    paths = [url, f"{url}/{item['id']}", RUNS, f"{RUNS}/{run['id']}", f"{url}/none", "/healthz", "/nowhere"]
    for path in paths:
        got, head = client.get(path), client.request("HEAD", path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        changing = {"date", "x-response-id", "x-ratelimit-used"}
        assert {name.lower() for name in head.headers} == {name.lower() for name in got.headers}
        for name, value in got.headers.items():
            assert name.lower() in changing or head.headers[name] == value
        assert int(head.headers["Content-Length"]) == len(got.content)
