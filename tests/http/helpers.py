"""What the HTTP tests have in common: places, small documents, and answers read as strictly as clients may."""

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from flask.testing import FlaskClient
from lxml import etree
from werkzeug.test import TestResponse

from notifhist.schemas.item_ids import ItemKey, id_of

ALARM = "/v1.0/123456/entities/enOne/alarms/alOne/notification_history"
CHECK = f"{ALARM}/chOne"
LOGS = "/api/v1/notifications/logs"
RUNS = f"{LOGS}/run"
JSON = "application/json"
XML = "application/xml"
IN_XML = f"{XML}; charset=utf-8"
"""The Content-Type of an answer in XML."""
NIL = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"'
FAULT_MEMBERS = ["type", "code", "message", "details", "request_id"]
RUN_ERROR_MEMBERS = ["details", "gatewayHttpStatus", "httpStatus", "message", "requestId", "type"]

_FIRST_CLOCK_AND_NODE = 0x8000_0100_0000_0000 - 2**64


def id_at(ms: int, number: int = 0, ticks: int = 0) -> str:
    """Return a version-1 UUID of the millisecond `ms`; among equal times a greater `number` sorts later."""
    return id_of(ItemKey(ms * 10_000 + ticks, _FIRST_CLOCK_AND_NODE + number))


def item_at(ms: int, number: int = 0, **members: Any) -> dict[str, Any]:
    """Return an item of the millisecond `ms`, as short as one may be."""
    item_id = id_at(ms, number)
    return {"id": item_id, "timestamp": ms, "state": "OK", "notification_results": [], **members}


def run_of(**members: Any) -> dict[str, Any]:
    """Return a run, as short as one may be."""
    return {"notificationType": "WEEKLY_REPORT", "medium": "EMAIL", "status": "CREATED", **members}


def log_of(**members: Any) -> dict[str, Any]:
    """Return a log, as short as one may be."""
    required = {"runId": 1, "type": "WEEKLY_REPORT", "medium": "EMAIL", "recipientType": "USER", "status": "READY"}
    return {**required, **members}


def post(client: FlaskClient, url: str, document: Any, status: int = 201, **headers: str) -> TestResponse:
    """Post `document` as JSON, and return the answer once its status is the expected one."""
    response = send(client, "POST", url, document, **headers)
    assert response.status_code == status, response.text
    return response


def send(client: FlaskClient, method: str, url: str, document: Any, **headers: str) -> TestResponse:
    """Send `document` as JSON, members in their order (the client's own `json` would sort them)."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.open(url, method=method, data=json.dumps(document), content_type=JSON, headers=named)


def get_json(client: FlaskClient, url: str, status: int = 200) -> Any:
    """Return the JSON that `url` answers, once its status is the expected one."""
    response = client.get(url)
    assert response.status_code == status, response.text
    assert response.content_type == JSON
    return json.loads(response.data)


def pages_from(client: FlaskClient, url: str) -> Iterator[Any]:
    """Yield the pages of a list from `url` on, following next_href; each says how many values it has."""
    while url:
        page = get_json(client, url)
        assert page["metadata"]["count"] == len(page["values"])
        yield page
        url = page["metadata"]["next_href"]


def ids(page: Any) -> list[str]:
    """Return the ids of the values on a page."""
    return [each["id"] for each in page["values"]]


def walk(client: FlaskClient, url: str) -> list[list[str]]:
    """Return the ids of each page from `url` on."""
    return [ids(page) for page in pages_from(client, url)]


def get_xml(client: FlaskClient, url: str, status: int = 200) -> etree._Element:
    """Return the XML that `url` answers, once its status is the expected one and it is valid."""
    return read_xml(client.get(url, headers={"Accept": XML}), status)


def read_xml(response: TestResponse, status: int = 200, content_type: str = XML) -> etree._Element:
    """Return the XML of an answer, once its status is the expected one and it is valid."""
    assert response.status_code == status, response.text
    assert response.content_type == f"{content_type}; charset=utf-8"
    assert response.data.startswith(b'<?xml version="1.0" encoding="utf-8"?>\n<')
    return validated(response.data)


def validated(xml: bytes) -> etree._Element:
    """Return `xml` parsed, once it is valid against the published schema."""
    root = etree.fromstring(xml)
    xsd().assertValid(root)
    return root


@cache
def xsd() -> etree.XMLSchema:
    """Return the published schema."""
    text = files("notifhist.schemas").joinpath("notification_history.xsd").read_bytes()
    return etree.XMLSchema(etree.fromstring(text))


def assert_fault(response: TestResponse, status: int, fault_type: str) -> dict[str, str]:
    """Assert that an answer is a fault of the history API, in JSON, and return it."""
    assert (response.status_code, response.content_type) == (status, JSON), response.text
    fault: dict[str, str] = json.loads(response.data)
    assert list(fault) == FAULT_MEMBERS
    assert (fault["type"], fault["code"]) == (fault_type, str(status))
    assert fault["message"]
    assert fault["request_id"] == response.headers["X-Response-Id"]
    return fault


def assert_run_error(response: TestResponse, status: int, error_type: str) -> dict[str, Any]:
    """Assert that an answer is an error of the runs API, in JSON, and return it."""
    assert (response.status_code, response.content_type) == (status, JSON), response.text
    error: dict[str, Any] = json.loads(response.data)
    assert list(error) == RUN_ERROR_MEMBERS
    assert (error["gatewayHttpStatus"], error["httpStatus"], error["type"]) == (0, status, error_type)
    assert error["message"]
    assert error["requestId"] == response.headers["X-Response-Id"]
    return error


def text(response: Any) -> str:
    """Return a JSON answer in the blanks of json.dumps, so that order counts."""
    return json.dumps(json.loads(response.data))
