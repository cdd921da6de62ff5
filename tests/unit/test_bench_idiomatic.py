"""The idiomatic application answers the same documents as the service: else it would be no measure."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from lxml import etree

from bench import idiomatic
from bench.cache import Prepared, prepare
from bench.data import TENANT, even
from bench.targets import SqliteFile
from bench.workloads import LIMITS, TITLES, Workload, headers, workloads
from notifhist.auth import ADMIN, RUNS_EDIT, ApiKey, new_key
from notifhist.factory import create_app
from notifhist.store.database import ensure_connected, open_database
from notifhist.store.keys import add_key


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def prepared(folder: Path) -> Prepared:
    data_set = even(checks=2, items=110, runs=2000)
    return prepare(
        folder, SqliteFile(folder / "sqlite"), data_set, LIMITS, lambda n: None, folder / "idiomatic.db"
    )


@pytest.fixture(scope="module")
def key(prepared: Prepared) -> str:
    secret, key_id, secret_hash = new_key()
    db = open_database(prepared.url)
    ensure_connected(db)
    add_key(db, ApiKey(key_id, "bench", TENANT, (ADMIN, RUNS_EDIT), secret_hash, int(time.time() * 1000)))
    db.close()
    return secret


@pytest.fixture(scope="module")
def service(prepared: Prepared) -> Iterator[FlaskClient]:
    app = create_app({"DATABASE_URL": prepared.url, "HISTORY_RATE_LIMIT": "", "RUNS_RATE_LIMIT": ""})
    yield app.test_client()
    app.extensions["notifhist"].db.close()


@pytest.fixture(scope="module")
def plain(prepared: Prepared, folder: Path) -> Iterator[FlaskClient]:
    idiomatic.database.init(str(folder / "idiomatic.db"))
    yield idiomatic.app.test_client()
    idiomatic.database.close()


@pytest.fixture(scope="module")
def asked(prepared: Prepared, service: FlaskClient, key: str) -> dict[str, Workload]:
    def ask(uri: str) -> object:
        return service.get(uri, headers=headers(uri, "application/json", key)).json

    return {workload.name: workload for workload in workloads(prepared, ask)}


@pytest.mark.parametrize("name", TITLES)
def test_it_answers_as_the_service_does(
    asked: dict[str, Workload], service: FlaskClient, plain: FlaskClient, key: str, name: str
) -> None:
    for uri in asked[name].uris:
        fields = headers(uri, asked[name].accept, key)
        expected, found = service.get(uri, headers=fields), plain.get(uri, headers=fields)
        assert (expected.status_code, found.status_code) == (200, 200)
        assert found.mimetype == expected.mimetype == asked[name].accept
        if found.is_json:
            assert found.json == expected.json
        else:
            canonical = [etree.canonicalize(each.text, strip_text=True) for each in (found, expected)]
            assert canonical[0] == canonical[1]


def test_pages_are_full_and_deep_and_searches_find_some(
    asked: dict[str, Workload], service: FlaskClient, key: str
) -> None:
    def documents(name: str) -> list[Any]:
        uris = asked[name].uris
        return [service.get(uri, headers=headers(uri, "application/json", key)).get_json() for uri in uris]

    assert {len(page["values"]) for page in documents("W3")} == {100}
    assert all(len(page["runs"]) == min(page["total"], 250) for page in documents("W6"))
    assert [page["page"] for page in documents("W7")] == [
        2,
        0,
        0,
        0,
        0,
    ]  # of 1000 completed runs, 3 full pages
    assert all(20 <= page["total"] <= 200 for page in documents("W8"))
