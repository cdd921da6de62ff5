"""Whatever is asked, in whatever words: the answer is a known document, never a fault of the service's."""

import json
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlencode

from flask import Flask
from flask.testing import FlaskClient
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree
from werkzeug.test import TestResponse

from notifhist.schemas.deliveries import COUNTS, DELIVERIES_PAGE, RECEIVERS
from notifhist.schemas.document import DocumentSchema, member_fields
from notifhist.schemas.error import FAULT, RUN_ERROR
from notifhist.schemas.history import DISCOVERY, HISTORY_PAGE, ITEM
from notifhist.schemas.limits import LIMITS
from notifhist.schemas.logs import LOG, LOGS_CONTAINER, LOGS_PAGE
from notifhist.schemas.register import ALARM as REGISTERED_ALARM
from notifhist.schemas.register import ALARM_PAGE, CHECK, CHECK_PAGE, ENTITY, ENTITY_PAGE
from notifhist.schemas.runs import RUN, RUNS_CONTAINER, RUNS_PAGE
from notifhist.schemas.states import STATES_PAGE
from tests.property.conftest import Newcomer
from tests.property.strategies import ANY_ITEM, VALUES, examples

ALARM = "/entities/e/alarms/a/notification_history"
AN_ID = "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26"
LOGS = "/api/v1/notifications/logs"
RUNS = f"{LOGS}/run"
FORMATS = ("application/json", "application/xml", "text/xml")
XML_SCHEMA = etree.XMLSchema(
    etree.fromstring(files("notifhist.schemas").joinpath("notification_history.xsd").read_bytes())
)

ANSWERS: dict[str, DocumentSchema] = {
    ALARM: DISCOVERY,
    "/limits": LIMITS,
    "/views/latest_alarm_states": STATES_PAGE,
    "/entities": ENTITY_PAGE,
    "/entities/e": ENTITY,
    "/entities/e/alarms": ALARM_PAGE,
    "/entities/e/alarms/a": REGISTERED_ALARM,
    "/entities/e/checks": CHECK_PAGE,
    "/entities/e/checks/c": CHECK,
    f"{ALARM}/c": HISTORY_PAGE,
    f"{ALARM}/c/{AN_ID}": ITEM,
    RUNS: RUNS_PAGE,
    f"{RUNS}/1": RUN,
    LOGS: LOGS_PAGE,
    f"{LOGS}/1": LOG,
    "/deliveries": DELIVERIES_PAGE,
    "/deliveries/counts": COUNTS,
    "/deliveries/receivers": RECEIVERS,
}
"""The document that each path answers with 200."""
PATHS = st.sampled_from(tuple(ANSWERS))

_BYTES = st.binary(max_size=20).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"").decode("latin-1"))
_MEDIA = st.sampled_from((*FORMATS, "*/*", "*", "text/*", "application/*", "image/png", "a/b/c", "/", ""))
_PARAMETERS = st.sampled_from(
    ("", ";q=0", ";q=1", ";q=0.5", ";q=.2", ";q=2", ";q=nan", ";q", ";;", '; a="b,c";q=1', ';a="', ";a=\\")
)
ACCEPTS = st.one_of(
    st.lists(st.tuples(_MEDIA, _PARAMETERS).map("".join), max_size=4).map(",".join),
    _BYTES,
    st.text(st.sampled_from('ap/*,;q=01."\\ \t'), max_size=20),
)
MARKERS = st.one_of(
    st.sampled_from(
        (AN_ID, AN_ID.upper(), AN_ID.replace("-", ""), f"{{{AN_ID}}}", "ffffffff-ffff-1fff-bfff-ffffffffffff")
    ),
    st.sampled_from(("00000000-0000-1000-8000-000000000000", "00000000-0000-4000-8000-000000000000", "", "\0")),
    st.uuids().map(str),
    st.text(max_size=40),
)
_NAMES = st.sampled_from(
    (
        *("from", "to", "limit", "marker", "reverse", "notificationTypes", "statuses", "mediums", "other", ""),
        *("searchQuery", "includeObjects", "fromDate", "untilDate", "pageSize", "page", "orderBy"),
        *("notificationRunIds", "recipientEmails", "recipientEntityIds", "recipientChannels", "recipientTypes"),
        *("outcome", "state", "notification_id", "entity_id", "transaction_id", "q", "by", "interval", "rows"),
    )
)
_VALUES = st.one_of(
    st.integers().map(str),
    st.sampled_from(
        ("-0", "1e3", "٣", "1" * 5000, str(-(2**63) - 1), str(2**64), "true", "ASC", ",", "SLACK,", "sent", "365d")
    ),
    st.sampled_from(("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999-14:00", "2024-W01", "20240101", "24:00")),
    st.sampled_from(("%", "_", "\\", "'", '"', "\0", "ß", "\ufffe")),
    MARKERS,
)
QUERIES = st.one_of(
    st.lists(st.tuples(_NAMES, _VALUES), max_size=4).map(urlencode),
    st.lists(st.tuples(_NAMES, _BYTES), max_size=3).map(
        lambda pairs: "&".join(f"{name}={quote(raw, safe='', encoding='latin-1')}" for name, raw in pairs)
    ),
    st.builds("{}={}".format, _NAMES, _BYTES),
    _BYTES,
    st.text(st.sampled_from("&=%;+0fFzZ[]"), max_size=12),
)


def assert_known(response: TestResponse, answers: tuple[DocumentSchema, ...]) -> None:
    """Assert that the response is one of `answers`, or an error of the path's API that says its status."""
    assert response.status_code < 500, response.text
    if response.status_code in (204, 304):
        assert response.data == b""
        return
    if response.status_code >= 400:
        answers = (RUN_ERROR,) if f"{response.request.path}/".startswith("/api/") else (FAULT,)
        assert str(response.status_code) in response.text
    assert response.headers["X-Response-Id"]
    assert response.headers["Vary"] == "Accept"
    assert response.content_type in (FORMATS[0], *(f"{each}; charset=utf-8" for each in FORMATS[1:]))
    if response.content_type == FORMATS[0]:
        document = json.loads(response.data)
        required = [{name for name, each in member_fields(a).items() if each.required} for a in answers]
        assert any(names <= document.keys() for names in required)
    else:
        root = etree.fromstring(response.data)
        XML_SCHEMA.assertValid(root)
        assert root.tag in {answer.root for answer in answers}


def recorded(client: FlaskClient) -> FlaskClient:
    """Record what `ANSWERS` answers: an item that XML would trip over, a run, a log, and others behind them."""
    item = {"state": "<\0>", "notification_results": [{"a:b": {"": [[], {"\ufffe": None}]}}]}
    items = [{"id": AN_ID, **item}, *({"timestamp": 1320885544875 + n, **item} for n in (0, 1))]
    about = [{"id": 1, "name": "<\x01>", "type": "ENTITY"}]
    run = {"notificationType": "WEEKLY_REPORT", "medium": "EMAIL", "status": "FAILED", "notificationObjects": about}
    log = {"runId": 1, "type": "WEEKLY_REPORT", "medium": "EMAIL", "recipientType": "USER", "status": "FAILED"}
    logs = [{**log, "recipientEmail": "<\x01>"}, log]
    for path, body in ((f"{ALARM}/c", {"values": items}), (RUNS, {"runs": [run, run]}), (LOGS, {"logs": logs})):
        assert client.post(path, json=body).status_code == 201
    return client


def ask(client: FlaskClient, path: str, query: str = "", accept: str | None = None, **more: Any) -> TestResponse:
    """Send what no well-behaved client library would let through."""
    environ = {"QUERY_STRING": query} | ({} if accept is None else {"HTTP_ACCEPT": accept})
    return client.open(path, environ_overrides=environ, **more)


def test_any_query_string(unlimited: Flask, newcomer: Newcomer) -> None:
    client = recorded(newcomer(unlimited))

    @example(f"{ALARM}/c", "limit=1&from=0&", "other=%ff&other=\xff", FORMATS[0], False)
    @given(PATHS, st.sampled_from(("", "limit=1&from=0&")), QUERIES, st.sampled_from(FORMATS), st.booleans())
    @examples(4)
    def holds(path: str, start: str, query: str, accept: str, head: bool) -> None:
        method = "HEAD" if head else "GET"
        response = ask(client, path, start + query, accept, method=method)
        if method == "GET":
            assert_known(response, (ANSWERS[path],))
        assert response.status_code in (200, 400)

    holds()


def test_any_marker(unlimited: Flask, newcomer: Newcomer) -> None:
    client = recorded(newcomer(unlimited))

    @given(MARKERS, st.sampled_from(("true", "false")), st.integers(1, 3), st.sampled_from(FORMATS))
    @examples(2)
    def holds(marker: str, reverse: str, limit: int, accept: str) -> None:
        query = urlencode({"marker": marker, "reverse": reverse, "limit": limit, "from": 0})
        response = ask(client, f"{ALARM}/c", query, accept)
        assert_known(response, (HISTORY_PAGE,))
        assert response.status_code in (200, 400)

    holds()


def test_any_accept_header(unlimited: Flask, newcomer: Newcomer) -> None:
    client = recorded(newcomer(unlimited))

    @example(RUNS, "", 'text/xml;a="')
    @given(PATHS, st.sampled_from(("", "limit=0&page=-1")), ACCEPTS)
    @examples(4)
    def holds(path: str, query: str, accept: str) -> None:
        response = ask(client, path, query, accept)
        assert_known(response, (ANSWERS[path],))
        assert response.status_code in (200, 400, 406)

    holds()


def test_any_path(unlimited: Flask, newcomer: Newcomer) -> None:
    client = recorded(newcomer(unlimited))
    parts = st.one_of(
        st.sampled_from(("entities", "alarms", "notification_history", "e", "a", "c", "v1.0", "123456", AN_ID, "api")),
        st.sampled_from(
            ("", ".", "..", "%2F", "%00", "%ff", "ü", "x" * 256, "notification_results", "attempts", "run")
        ),
        _BYTES.map(lambda raw: quote(raw, safe="", encoding="latin-1")),
    )

    def under(root: str) -> st.SearchStrategy[str]:
        return st.lists(parts, max_size=3).map(lambda more: "/".join([root, *more]))

    @example("/api", FORMATS[0])
    @given(st.sampled_from(("", "/v1.0/123456", *ANSWERS)).flatmap(under), st.sampled_from(FORMATS))
    @examples(2)
    def holds(path: str, accept: str) -> None:
        response = ask(client, path or "/", accept=accept)
        assert_known(response, tuple(ANSWERS.values()))

    holds()


def test_any_body(unlimited: Flask, newcomer: Newcomer) -> None:
    client = newcomer(unlimited)
    bodies = st.one_of(
        st.binary(max_size=30),
        st.text(st.sampled_from('{}[]",:1e-.\\u0\ud83d'), max_size=20).map(
            lambda t: t.encode("utf-8", "surrogatepass")
        ),
        st.builds(lambda value: json.dumps(value).encode(), VALUES | ANY_ITEM),
        st.builds(
            lambda item: json.dumps({"values": [item], "runs": [item], "logs": [item]}).encode(), VALUES | ANY_ITEM
        ),
        st.text(st.sampled_from("<>/!?&;[]a=\"' -"), max_size=20).map(
            lambda text: f"<alarm_notification_history_item><state/>{text}</alarm_notification_history_item>".encode()
        ),
    )

    @given(
        st.sampled_from(
            [
                *(("POST", f"{ALARM}/c"), ("PUT", f"{ALARM}/c/{AN_ID}"), ("POST", RUNS), ("PUT", f"{RUNS}/1")),
                *(("POST", LOGS), ("PUT", f"{LOGS}/1"), ("PUT", RUNS)),
            ]
        ),
        bodies,
        st.sampled_from((*FORMATS, "application/json; charset=latin-1", "text/plain", "")) | _BYTES,
        st.sampled_from(FORMATS),
    )
    @examples(4)
    def holds(call: tuple[str, str], body: bytes, content_type: str, accept: str) -> None:
        method, path = call
        more: dict[str, Any] = {"method": method, "data": body, "content_type": content_type}
        assert_known(
            ask(client, path, accept=accept, **more), (ITEM, HISTORY_PAGE, RUN, RUNS_CONTAINER, LOG, LOGS_CONTAINER)
        )

    holds()
