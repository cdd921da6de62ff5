"""What is fuzzed: one function for each parser. It raises where the parser does what it may never do.

A parser may raise ApiError, which becomes an answer of 4xx, and nothing else.
"""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from urllib.parse import unquote_to_bytes

from flask import Request
from werkzeug.test import EnvironBuilder

from notifhist.auth import hide_secrets, split_key
from notifhist.clock import Clock
from notifhist.config import load_settings
from notifhist.errors import ApiError
from notifhist.schemas.document import DocumentSchema
from notifhist.schemas.fields import is_path_id
from notifhist.schemas.history import ATTEMPT, HISTORY_CONTAINER, ITEM
from notifhist.schemas.query import RUNS_QUERY, CheckPath, RunsQuery
from notifhist.schemas.runs import RUN, RUNS_CONTAINER
from notifhist.serializers import as_json, as_xml, from_json, from_xml
from notifhist.serializers.bodies import ExpectedBody, parse_body
from notifhist.serializers.formats import JSON_AND_XML
from notifhist.serializers.parsed import list_field
from notifhist.store.equality import equal_json
from notifhist.web.context import host
from notifhist.web.params import history_query, page_query

BODIES = (ExpectedBody(ITEM, HISTORY_CONTAINER), ExpectedBody(RUN, RUNS_CONTAINER), ExpectedBody(ATTEMPT))
CHECK = CheckPath("t", "e", "a", "c")
SETTINGS = load_settings({})
"""Those of a service without any."""
ENVIRON = EnvironBuilder().get_environ()


def fuzz_json(data: bytes) -> None:
    """Read a body in JSON; what was read can be written, and the line of each record can be told."""
    _read(data, "application/json", from_json.record_lines)


def fuzz_xml(data: bytes) -> None:
    """Read a body in XML in the same way."""
    _read(data, "application/xml", from_xml.record_lines)


def fuzz_query(data: bytes) -> None:
    """Read a query string as the lists of both APIs do; one that is not UTF-8 does not reach them."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return
    environ = ENVIRON | {"QUERY_STRING": data.decode("latin-1")}
    for read in (
        lambda args: history_query(CHECK, args, SETTINGS, Clock()),
        lambda args: page_query(RUNS_QUERY, RunsQuery, "t", args),
    ):
        with suppress(ApiError):
            read(Request(environ).args)


def fuzz_headers(data: bytes) -> None:
    """Read each line as every header that is read, and as a part of a path."""
    for line in data.decode("latin-1").split("\n"):
        JSON_AND_XML.accepted_by(line)
        JSON_AND_XML.named_by(line)
        split_key(line)
        hide_secrets(line)
        is_path_id(unquote_to_bytes(line).decode(errors="replace"))
        environ = ENVIRON | {"HTTP_HOST": line, "HTTP_IF_NONE_MATCH": line, "HTTP_IF_MATCH": line}
        request = Request(environ)
        request.if_none_match.contains_weak("x")
        request.if_match.contains("x")
        with suppress(ApiError):
            host(request)


HARNESSES: dict[str, Callable[[bytes], None]] = {
    "json": fuzz_json,
    "xml": fuzz_xml,
    "query": fuzz_query,
    "headers": fuzz_headers,
}


def _read(data: bytes, content_type: str, record_lines: Callable[[bytes, DocumentSchema], Iterable[int]]) -> None:
    """Read the body behind the first byte of `data`, which says of which form it is."""
    expected, data = BODIES[data[0] % len(BODIES)] if data else BODIES[0], data[1:]
    try:
        body = parse_body(data, content_type, expected)
    except ApiError:
        return
    if body.is_container and expected.container is not None:
        records = body.document[list_field(expected.container)[0]]
        assert len(list(record_lines(data, expected.container))) == len(records)
    elif expected.single is not RUN:  # a run is loaded into other names than those it is written with
        assert equal_json(json.loads(as_json.render(body.document, expected.single)), body.document)
        from_xml.parse(as_xml.render(body.document, expected.single), expected.single)
