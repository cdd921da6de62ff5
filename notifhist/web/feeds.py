"""The feeds: URLs to which alerting tools send what they send. Contract: docs/contract.md, "Feeds".

Each feed of `feeds.table` has a view for POST and one for PUT. A sender that is answered anything but 2xx loses the
payload or sends it for ever, so all that parses is answered 200; what is odd in it is ignored and counted.
"""

from collections.abc import Callable
from functools import partial
from typing import cast

import orjson
from flask import Response, g, request

from notifhist.auth import CREATOR
from notifhist.errors import BadRequest, UnsupportedMediaType
from notifhist.feeds.feed import Feed, Mapped, Origin
from notifhist.feeds.table import FEEDS as ALL_FEEDS
from notifhist.schemas.document import Document
from notifhist.schemas.feeds import FEED_PAYLOAD, FEED_QUERY, PER_GROUP
from notifhist.serializers import as_json
from notifhist.serializers.bodies import MAX_CONTAINER_BYTES, ExpectedBody
from notifhist.serializers.codings import unpack
from notifhist.serializers.formats import Format, Formats
from notifhist.store.history.derived import RecordedItems, record_derived
from notifhist.web.apis import FEEDS
from notifhist.web.context import caller, current_service
from notifhist.web.declarations import Json, View
from notifhist.web.recording import count_new_deliveries
from notifhist.web.shortcuts import unwrap

_MS_PER_S = 1000
_JSON = "application/json"
_ABOUT = "All that parses is answered 200; what is not understood is ignored, and counted in the answer."
_COUNT = {"type": "integer", "minimum": 0}
_ANSWER: Json = {
    "type": "object",
    "description": "How many items are new, how many got further attempts, and what changed nothing, by reason.",
    "required": ["created", "merged", "ignored"],
    "properties": {"created": _COUNT, "merged": _COUNT, "ignored": {"type": "object", "additionalProperties": _COUNT}},
}


def _record(feed: Feed) -> Response:
    """Record the request's payload, and answer what became of it."""
    service, key = current_service(), caller()
    now_ticks = service.clock.now_ticks()
    mapped = feed.map(_payload_of(feed), _origin(key.tenant, now_ticks))
    dedup_ms = service.settings.feed_dedup_s * _MS_PER_S
    recorded = record_derived(service.db, key.tenant, mapped.items, now_ticks, service.oldest_ms(), dedup_ms)
    return _answer(feed, mapped, recorded)


def _payload_of(feed: Feed) -> object:
    """Return the payload in the body. Raises UnsupportedMediaType, RequestTooLarge or BadRequest."""
    expected, headers = cast("ExpectedBody", unwrap(g).view.body), request.headers
    data, coding = request.get_data(cache=False), headers.get("Content-Encoding", "").strip().lower()
    if not data:
        raise BadRequest("The body is empty.")
    body_format = expected.formats.named_by(headers.get("Content-Type"))
    if body_format is None:
        raise UnsupportedMediaType(f"Send the body as {expected.formats}, and say so in Content-Type.")
    decode = feed.decoders[body_format.name]
    if coding not in feed.codings:
        return decode(unpack(data, coding, expected))
    try:
        data = feed.codings[coding](data, expected.largest_bytes)
    except ValueError as error:
        raise BadRequest(f"The body cannot be unpacked: it is not {coding}.", str(error)) from None
    except OverflowError:
        raise expected.too_large() from None
    return decode(data)


def _origin(tenant: str, now_ticks: int) -> Origin:
    """Return where the request's payload comes from, with what its URL chooses."""
    if not request.query_string:
        return Origin(tenant, now_ticks)
    entity, alarm = (
        tuple(name.strip() for value in request.args.getlist(parameter) for name in value.split(","))
        for parameter in ("entity", "alarm")
    )
    return Origin(tenant, now_ticks, entity, alarm, request.args.get("per") == PER_GROUP)


def _answer(feed: Feed, mapped: Mapped, recorded: RecordedItems) -> Response:
    """Count what became of a payload, and answer it."""
    metrics, ignored = current_service().metrics, mapped.ignored + recorded.unchanged
    metrics.recorded("item", len(recorded.new))
    metrics.fed(feed.name, len(recorded.new) + recorded.merged, ignored)
    for item in recorded.new:
        count_new_deliveries(item)
    told = {"created": len(recorded.new), "merged": recorded.merged, "ignored": dict(sorted(ignored.items()))}
    return Response(orjson.dumps(told), content_type=_JSON)


def _probe(answer: Document) -> Response:
    """Answer what a sender asks before it sends."""
    return Response(orjson.dumps(answer), content_type=_JSON)


def _declare(feed: Feed) -> None:
    """Declare the views of a feed. An answer is JSON, whatever the sender accepts: an error would lose its payload."""
    name, path = feed.name.replace("-", "_"), f"/feeds/{feed.name}"
    kinds = [Format(media_type, (media_type,), as_json.parts, shape="members") for media_type in feed.decoders]
    body = ExpectedBody(FEED_PAYLOAD, formats=Formats(*kinds), max_bytes=MAX_CONTAINER_BYTES)
    for method in ("POST", "PUT"):
        of_feed = (FEEDS, method, path + feed.push_path, feed.summary, CREATOR)
        view = View(*of_feed, description=_ABOUT, content={_JSON: _ANSWER}, query=FEED_QUERY, body=body)
        view(_named(f"{method.lower()}_{name}", partial(_record, feed)))
    for suffix, answer in feed.probes.items():
        view = View(FEEDS, "GET", path + suffix, f"Answer what {feed.name} asks", CREATOR, content={_JSON: {}})
        view(_named(f"get_{name}_{suffix.rpartition('/')[2]}", partial(_probe, answer)))


def _named(name: str, function: Callable[[], Response]) -> Callable[..., Response]:
    """Return the function of a view, whose name is its operation id."""

    def view() -> Response:
        return function()

    view.__name__ = name
    return view


for _feed in ALL_FEEDS:
    _declare(_feed)
