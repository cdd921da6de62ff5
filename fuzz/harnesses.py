"""What is fuzzed: one function for each parser. It raises where the parser does what it may never do.

A parser may raise ApiError, which becomes an answer of 4xx, and nothing else.
"""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from urllib.parse import unquote_to_bytes

from flask import Request
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from werkzeug.test import EnvironBuilder

from notifhist.auth import hide_secrets, split_key
from notifhist.clock import Clock
from notifhist.config import load_settings
from notifhist.errors import ApiError
from notifhist.factory import create_app
from notifhist.feeds.feed import Origin
from notifhist.feeds.table import FEEDS
from notifhist.schemas.delivery_queries import COUNTS_QUERY, DELIVERIES_QUERY
from notifhist.schemas.document import DocumentSchema
from notifhist.schemas.fields import is_path_id
from notifhist.schemas.history import ATTEMPT, HISTORY_CONTAINER, ITEM
from notifhist.schemas.logs import LOG, LOGS_CONTAINER
from notifhist.schemas.query import CHANGELOGS_QUERY, LOGS_QUERY, RUNS_QUERY, CheckPath, LogsQuery, RunsQuery, Tenant
from notifhist.schemas.runs import RUN, RUNS_CONTAINER
from notifhist.schemas.validation import validate
from notifhist.serializers import as_json, as_xml, from_json, from_xml
from notifhist.serializers.bodies import ExpectedBody, parse_body
from notifhist.serializers.charsets import charset_of
from notifhist.serializers.codings import unpack
from notifhist.serializers.formats import JSON_AND_XML
from notifhist.serializers.parsed import list_field
from notifhist.server.chunks import Chunks
from notifhist.server.incoming import Incoming, end_of_head, told_by
from notifhist.store.equality import equal_json
from notifhist.web.conditions import has_already
from notifhist.web.context import host
from notifhist.web.params import deliveries_query, history_query, item_logs_query, page_query, register_query

BODIES = (
    ExpectedBody(ITEM, HISTORY_CONTAINER),
    ExpectedBody(RUN, RUNS_CONTAINER),
    ExpectedBody(ATTEMPT),
    ExpectedBody(LOG, LOGS_CONTAINER),
)
PAYLOADS = [(feed, decode) for feed in FEEDS for decode in feed.decoders.values()]
CHECK = CheckPath("t", "e", "a", "c")
SETTINGS = load_settings({})
"""Those of a service without any."""
ENVIRON = EnvironBuilder().get_environ()
APP = create_app({"DATABASE_URL": "sqlite:///never-opened.db"})
CONFIG = Config()


def fuzz_json(data: bytes) -> None:
    """Read a body in JSON; what was read can be written, and the line of each record can be told."""
    _read(data, "application/json", from_json.record_lines)


def fuzz_xml(data: bytes) -> None:
    """Read a body in XML in the same way."""
    _read(data, "application/xml", from_xml.record_lines)


def fuzz_query(data: bytes) -> None:
    """Read a query string as all lists do; one that is not UTF-8 does not reach them."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return
    environ = ENVIRON | {"QUERY_STRING": data.decode("latin-1")}
    for read in (
        lambda args: history_query(CHECK, args, SETTINGS, Clock()),
        lambda args: deliveries_query(DELIVERIES_QUERY, "t", args, SETTINGS, Clock()),
        lambda args: deliveries_query(COUNTS_QUERY, "t", args, SETTINGS, Clock()),
        lambda args: item_logs_query(CHANGELOGS_QUERY, "t", args, SETTINGS, Clock()),
        lambda args: register_query(Tenant("t"), args, SETTINGS),
        lambda args: page_query(RUNS_QUERY, RunsQuery, "t", args),
        lambda args: page_query(LOGS_QUERY, LogsQuery, "t", args),
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
        charset_of(line)
        request = Request(ENVIRON | {"HTTP_HOST": line, "HTTP_IF_NONE_MATCH": line, "HTTP_ORIGIN": line})
        with APP.app_context(), APP.request_context(request.environ):
            has_already("x")
            with suppress(ApiError):
                host(request)
        for header in APP.extensions["notifhist"].apis[0].access.headers:
            header.key_in(line)


def fuzz_coded(data: bytes) -> None:
    """Unpack a body, and read its charset; the first line names both."""
    names, _, data = data.partition(b"\n")
    coding, _, content_type = names.decode("latin-1").partition(" ")
    with suppress(ApiError):
        parse_body(unpack(data, coding, BODIES[0]), content_type, BODIES[0])


def fuzz_feeds(data: bytes) -> None:
    """Read a payload; the first byte says of which feed, and in which form. Each item of it could be recorded."""
    feed, decode = PAYLOADS[data[0] % len(PAYLOADS)] if data else PAYLOADS[0]
    with suppress(ApiError):
        for derived in feed.map(decode(data[1:]), Origin("t", 0)).items:
            assert validate(ITEM, derived.item) == derived.item
            assert all(map(is_path_id, (derived.entity_id, derived.alarm_id, derived.check_id)))


def fuzz_wire(data: bytes) -> None:
    """Read a head, and what follows it as chunks: the same at once and byte by byte."""
    at_once, bit_by_bit = (_read_wire(data, step) for step in (len(data) or 1, 1))
    assert at_once == bit_by_bit
    told_by(data)


def _read_wire(data: bytes, step: int) -> tuple[object, ...]:
    """Return what the server makes of bytes that arrive `step` at a time."""
    buffer, seen, end = bytearray(), 0, 0
    for start in range(0, len(data), step):
        buffer += data[start : start + step]
        if not end and (end := end_of_head(buffer, seen)):
            break
        seen = len(buffer)
    if not end:
        return ("a head that is not over",)
    head, body, chunks = bytes(buffer[:end]), b"", Chunks()
    try:
        request = Incoming(CONFIG, head, ("127.0.0.1", 1))
    except ParseException:
        return ("refused",)
    rest = bytearray()
    try:
        for start in range(end, len(data), step):
            rest += data[start : start + step]
            body += chunks.feed(rest)
    except ParseException as error:
        return head, type(error)
    return head, request.length, body, bytes(rest), chunks.done


HARNESSES: dict[str, Callable[[bytes], None]] = {
    "json": fuzz_json,
    "xml": fuzz_xml,
    "query": fuzz_query,
    "headers": fuzz_headers,
    "coded": fuzz_coded,
    "feeds": fuzz_feeds,
    "wire": fuzz_wire,
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
    elif expected.single not in (RUN, LOG):  # they are loaded into other names than those they are written with
        assert equal_json(json.loads(as_json.render(body.document, expected.single)), body.document)
        from_xml.parse(as_xml.render(body.document, expected.single), expected.single)
