"""nginx, HAProxy and Caddy as in deploy/: what clients see of them, and a reload of the service under load."""

import csv
import io
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.conftest import TENANT
from tests.deploy.proxies import KINDS, Certificate, Proxy
from tests.http.helpers import CHECK, JSON, item_at
from tests.system.load import Load, recorded
from tests.system.service import PATIENCE_S, Service, running, wait_until

NOW_MS = time.time_ns() // 1_000_000
FORGED = {
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "forged.example",
    "X-Forwarded-Port": "1",
    "X-Forwarded-Prefix": "/forged",
}
"""All that the service believes of a proxy, sent by a client."""
ENCODED = CHECK.replace("enOne", "100%25%20%3F")
"""A check of the entity `100% ?`."""


@dataclass(frozen=True)
class Fronted:
    """A service, and a proxy in front of it that clients ask."""

    service: Service
    proxy: Proxy
    session: requests.Session

    def ask(self, method: str, path: str, status: int, **options: object) -> requests.Response:
        """Return the answer to a request through the proxy, once its status is the expected one."""
        url = path if path.startswith("https:") else self.proxy.url + path
        answer = self.session.request(method, url, timeout=PATIENCE_S, allow_redirects=False, **options)  # type: ignore[arg-type]
        assert answer.status_code == status, answer.text[:1000]
        return answer


@pytest.fixture(scope="module", params=KINDS)
def fronted(
    request: pytest.FixtureRequest,
    sqlite_tables: Path,
    certificate: Certificate,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Fronted]:
    """A service with a proxy of each kind."""
    folder, database, its = (tmp_path_factory.mktemp(name) for name in ("service", "database", "proxy"))
    settings = {
        "DATABASE_URL": f"sqlite:///{shutil.copy(sqlite_tables, database)}",
        "TRUSTED_PROXIES": "1",
        "HISTORY_RATE_LIMIT": "",
    }
    with running(Service(folder, settings)) as service:
        proxy = Proxy(KINDS[request.param], service, certificate, its)
        try:
            with proxy.session(service.create_key()) as session:
                yield Fronted(service, proxy, session)
        finally:
            proxy.stop()


def test_links_lead_through_it_whatever_a_client_forges(fronted: Fronted) -> None:
    for number in range(2):
        answer = fronted.ask("POST", ENCODED, 201, json=item_at(NOW_MS, number), headers=FORGED)
        assert answer.headers["Location"].startswith(fronted.proxy.url + ENCODED + "/")
        fronted.ask("GET", answer.headers["Location"], 200)
    page = fronted.ask("GET", f"{ENCODED}?limit=1", 200, headers=FORGED).json()
    assert page["metadata"]["next_href"].startswith(fronted.proxy.url + ENCODED)
    assert len(fronted.ask("GET", page["metadata"]["next_href"], 200).json()["values"]) == 1


def test_bodies_pass_and_are_refused_by_the_service(fronted: Fronted) -> None:
    status = "x" * 100_000
    items = [item_at(NOW_MS - 1000, number, status=status) for number in range(100)]  # 10 MB
    assert len(fronted.ask("POST", f"{CHECK}Long", 201, json={"values": items}).json()["values"]) == 100
    too_long = {"data": b" " * (16 * 2**20 + 1), "headers": {"Content-Type": JSON}}
    try:
        assert fronted.ask("POST", f"{CHECK}Long", 413, **too_long).json()["code"] == "413"
    except requests.ConnectionError:
        assert fronted.proxy.kind.hangs_up


def test_answers_are_packed_for_who_takes_them_packed(fronted: Fronted) -> None:
    item = item_at(NOW_MS - 2000, status="x" * 5000)
    url = fronted.ask("POST", f"{CHECK}Packed", 201, json=item).headers["Location"]
    plain = fronted.ask("GET", url, 200)
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["ETag"].startswith('"')
    packed = fronted.ask("GET", url, 200, headers={"Accept-Encoding": "gzip"})
    assert (packed.headers["Content-Encoding"], packed.content) == ("gzip", plain.content)
    assert int(packed.headers.get("Content-Length", 0)) < 1000
    assert "Accept-Encoding" in packed.headers["Vary"]
    tag = packed.headers["ETag"]
    fronted.ask("GET", url, 304, headers={"Accept-Encoding": "gzip", "If-None-Match": tag})
    status = 412 if tag.startswith("W/") else 200
    fronted.ask("PUT", url, status, json=item, headers={"If-Match": tag})
    fronted.ask("PUT", url, 200, json=item, headers={"If-Match": plain.headers["ETag"]})


def test_a_long_answer_passes_as_it_is(fronted: Fronted) -> None:
    items = [item_at(NOW_MS - 3000, number) for number in range(3000)]
    fronted.ask("POST", f"{CHECK}Streamed", 201, json={"values": items})
    answer = fronted.ask("GET", f"/v1.0/{TENANT}/deliveries?format=csv", 200, headers={"Accept-Encoding": "gzip"})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert sum(row["check_id"] == "chOneStreamed" for row in rows) == 3000


def test_the_services_own_answers_pass_while_its_database_is_gone(fronted: Fronted) -> None:
    path = Path(fronted.service.settings["DATABASE_URL"].removeprefix("sqlite:///"))
    moved = path.parent.rename(path.parent.with_name("elsewhere"))
    try:
        for _ in range(10):  # a proxy that checks whether it is ready has found out after three
            time.sleep(0.05)
            answer = fronted.ask("GET", CHECK, 503)
            assert answer.json()["code"] == "503"
            assert int(answer.headers["Retry-After"]) > 0
            assert fronted.ask("GET", "/healthz", 200).json() == {"status": "ok"}
    finally:
        moved.rename(path.parent)
    wait_until(fronted.service.is_ready)
    fronted.ask("GET", CHECK, 200)


def test_a_reload_behind_it_loses_no_request(fronted: Fronted, certificate: Certificate) -> None:
    service = fronted.service
    before = len(recorded(service))
    load = Load(fronted.proxy.url, service.create_key(), certificate.context())
    with load.applied():
        service.signal(signal.SIGHUP)
        wait_until(lambda: len(service.workers()) == 4)
        load.wait_for_more(30)
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in service.workers()[:2]))
        load.wait_for_more(30)
    assert len(recorded(service)) == before + len(load.answered)
