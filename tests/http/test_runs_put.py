"""A run that is put is there as it was sent, in place of what was there."""

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import MakeKey, authorized
from tests.http.helpers import RUNS, assert_run_error, get_json, post, run_of, send

HOST = "http://localhost"
THING = {"id": 5, "name": "n", "type": "ENTITY"}


def test_put_creates_and_then_replaces(client: FlaskClient) -> None:
    created = send(client, "PUT", f"{RUNS}/7", run_of(summary="first", notificationObjects=[THING]))
    assert (created.status_code, created.headers["Location"]) == (201, f"{HOST}{RUNS}/7")
    assert json.loads(created.data)["id"] == 7
    replaced = send(client, "PUT", f"{RUNS}/7", run_of(id=7, status="COMPLETED", errorMessage="second"))
    assert (replaced.status_code, replaced.headers.get("Location")) == (200, None)
    assert client.get(f"{RUNS}/7").data == replaced.data
    run = json.loads(replaced.data)
    assert (run["status"], run["errorMessage"]) == ("COMPLETED", "second")
    assert not {"summary", "notificationObjects"} & run.keys()
    assert get_json(client, f"{RUNS}?searchQuery=first")["total"] == 0
    assert get_json(client, f"{RUNS}?searchQuery=second")["total"] == 1


@pytest.mark.parametrize(
    ("run_id", "members"), [("7", {"id": 8}), ("x", {}), (str(2**63), {}), ("7", {"id": "7"}), ("7", {"runs": []})]
)
def test_put_refuses_what_does_not_fit_its_url(run_id: str, members: Any, client: FlaskClient) -> None:
    response = send(client, "PUT", f"{RUNS}/{run_id}", run_of(**members))
    assert assert_run_error(response, 400, "BAD_REQUEST")["details"]
    assert get_json(client, RUNS)["total"] == 0


def test_put_touches_no_other_tenant_s_run(app: Flask, client: FlaskClient, make_key: MakeKey) -> None:
    other = authorized(app, make_key(tenant="654321"))
    post(client, RUNS, run_of(id=7))
    assert send(other, "PUT", f"{RUNS}/7", run_of(summary="theirs")).status_code == 201
    assert "summary" not in get_json(client, f"{RUNS}/7")
