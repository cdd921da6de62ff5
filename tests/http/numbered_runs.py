"""Runs that are numbered from 1, each a second after the one before, and which of them are found."""

from typing import Any
from urllib.parse import urlencode

from flask.testing import FlaskClient

from tests.http.helpers import RUNS, get_json, post, run_of


def instant(second: int, ms: int = 0) -> str:
    return f"2024-07-29T15:51:{second:02}.{ms:03}Z"


def thing(name: str, **members: Any) -> dict[str, Any]:
    return {"id": 1, "name": name, "type": "ENTITY", **members}


def found(client: FlaskClient, **parameters: Any) -> list[int]:
    """Return the ids of the runs that are answered, in their order."""
    page = get_json(client, f"{RUNS}?{urlencode(parameters, doseq=True)}")
    assert page["total"] == len(page["runs"])
    return [run["id"] for run in page["runs"]]


def record(client: FlaskClient, *runs: dict[str, Any]) -> None:
    """Record runs, numbered from 1, each a second after the one before unless it says otherwise."""
    numbered = [{"id": n, "dateCreated": instant(n), **run_of(**run)} for n, run in enumerate(runs, start=1)]
    post(client, RUNS, {"runs": numbered})
