"""Grafana's notification history, which it pushes to Loki: every attempt of every integration, with its error."""

from collections.abc import Iterator

from notifhist.feeds.feed import Derived, Feed, Mapped, Origin, Rule
from notifhist.feeds.grafana_lines import Alert, Event, read_lines
from notifhist.feeds.item_ids import item_id
from notifhist.feeds.labels import GROUP, Place, fingerprint, place_of, status_of, without_internal
from notifhist.feeds.loki_push import read_push, unpack_snappy
from notifhist.feeds.merging import joined
from notifhist.feeds.payloads import read_json, without_empty
from notifhist.schemas.document import Document
from notifhist.schemas.fields import TICKS_PER_MS

NAME = "grafana"
ACCEPTED = "accepted"
"""The message of an attempt without an error: the integration reported none."""
MAX_ALERTS = 1000
"""The most alerts of a notification that get an item each."""
MAX_ITEMS = 10_000
"""The most items of one push; the names of a million rules fit into a body."""

_Found = tuple[Place, Document]


def map_push(payload: object, origin: Origin) -> Mapped:
    """Return the items of a push, each with the attempts of it that the push has."""
    lines = read_lines(payload)
    mapped = Mapped(ignored=lines.ignored)
    items: dict[tuple[Place, str], list[Document]] = {}
    for event in lines.events:
        alerts = lines.alerts.get(event.uuid, {})
        for place, item in _items_of(event, [alerts[index] for index in sorted(alerts)], origin):
            key = (place, item["id"])
            if key not in items and len(items) == MAX_ITEMS:
                mapped.ignored["too_many"] += 1
            else:
                items.setdefault(key, []).append(item)
    mapped.items += [Derived(*place, joined(some), Rule.MERGE) for (place, _), some in items.items()]
    known = {event.uuid for event in lines.events}
    if lost := sum(len(alerts) for uuid, alerts in lines.alerts.items() if uuid not in known):
        mapped.ignored["alert_without_event"] += lost
    return mapped


def _items_of(event: Event, alerts: list[Alert], origin: Origin) -> Iterator[_Found]:
    """Yield place and item of each alert of an event.

    Without alerts, which another request may have, there is an item for each rule; with `per_group`, one in all.
    """
    if origin.per_group:
        common = _common_labels(alerts) or event.group_labels
        rule_uid = event.rule_uids[0] if len(event.rule_uids) == 1 else ""
        place = place_of(common, origin, NAME, GROUP, rule_uid)
        yield place, _item(event, origin, event.status, labels=common, alert_count=event.alert_count or len(alerts))
        return
    for alert in alerts[:MAX_ALERTS]:
        yield place_of(alert.labels, origin, NAME, fingerprint(alert.labels)), _item_of(event, alert, origin)
    if len(alerts) > MAX_ALERTS:
        place = place_of(alerts[0].labels, origin, NAME, GROUP)
        yield place, _item(event, origin, event.status, alert_count=len(alerts), truncated=len(alerts) - MAX_ALERTS)
    if not alerts:
        yield from _items_of_rules(event, origin)


def _items_of_rules(event: Event, origin: Origin) -> Iterator[_Found]:
    for rule_uid in event.rule_uids[:MAX_ALERTS] or ("",):
        place = place_of(event.group_labels, origin, NAME, GROUP, rule_uid)
        yield place, _item(event, origin, event.status, labels=event.group_labels, alert_count=event.alert_count)


def _item_of(event: Event, alert: Alert, origin: Origin) -> Document:
    """Return the item of one alert of an event."""
    annotations = without_internal(alert.annotations)
    described = {"labels": alert.labels, "annotations": annotations, "startsAt": alert.starts_at}
    return _item(event, origin, alert.status, status_of(annotations), **described)


def _item(event: Event, origin: Origin, state: str, status: str = "", **source: object) -> Document:
    external = ",".join(f"{name}={value}" for name, value in sorted(event.external_labels.items()))
    parts = (NAME, origin.tenant, *([external] if external else ()), event.group_key, event.receiver)
    name = item_id(event.flush_ticks, *parts)
    return {
        "id": name,
        "timestamp": event.flush_ticks // TICKS_PER_MS,
        "notification_plan_id": event.receiver,
        "transaction_id": name,
        "state": state,
        **without_empty(status=status),
        "notification_results": [_result(event)],
        "source": {
            "feed": NAME,
            "groupKey": event.group_key,
            **without_empty(**source, external_labels=event.external_labels),
        },
    }


def _result(event: Event) -> Document:
    attempt = _attempt(event)
    return {
        "notification_id": f"{event.integration}[{event.index}]",
        "notification_type": event.integration,
        "notification_details": {"receiver": event.receiver, "integrationIdx": event.index},
        "in_progress": False,  # nobody announces the end of retries
        "success": attempt["success"],
        "message": attempt["message"],
        "attempts": [attempt],
    }


def _attempt(event: Event) -> Document:
    duration = {} if event.duration_ms is None else {"duration_ms": event.duration_ms}
    # The flag says whether a failure may be retried; a success bears it too, where it says nothing.
    retryable = {"retryable": event.may_be_retried} if event.error else {}
    return {
        "message": event.error or ACCEPTED,
        "from": event.external_labels.get("instance") or NAME,
        "uuid": event.uuid,
        "at": event.ended_ms,
        **duration,
        **retryable,
        "success": not event.error,
    }


def _common_labels(alerts: list[Alert]) -> dict[str, str]:
    common = set(alerts[0].labels.items()) if alerts else set()
    for alert in alerts:
        common &= alert.labels.items()
    return dict(sorted(common))


GRAFANA = Feed(
    NAME,
    "Take Grafana's notification history, as a push to Loki",
    map_push,
    decoders={"application/json": read_json, "application/x-protobuf": read_push},
    codings={"snappy": unpack_snappy},
    push_path="/loki/api/v1/push",
    probes={"/loki/api/v1/labels": {"status": "success", "data": []}},
)
