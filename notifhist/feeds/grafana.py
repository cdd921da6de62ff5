"""Grafana's notification history, which it pushes to Loki: every attempt of every integration, with its error.

Docs: https://grafana.com/docs/grafana/latest/alerting/monitor-status/
"""

from dataclasses import replace

from notifhist.feeds.feed import MAX_ITEMS, Derived, Feed, Mapped, Origin, Rule
from notifhist.feeds.grafana_lines import Event, read_lines
from notifhist.feeds.item_ids import item_id
from notifhist.feeds.labels import GROUP
from notifhist.feeds.loki_push import read_push, unpack_snappy
from notifhist.feeds.merging import dropped, joined
from notifhist.feeds.notifications import Alert, Notification, common_of, items_of
from notifhist.feeds.payloads import read_json
from notifhist.schemas.document import Document

NAME = "grafana"
MAX_ERROR = 2000
"""So many characters of an attempt's error are kept."""
_ACCEPTED = "accepted"


def map_push(payload: object, origin: Origin) -> Mapped:
    """Return the items of a push, each with those of its attempts that the push has."""
    lines = read_lines(payload)
    mapped = Mapped(ignored=lines.ignored)
    items: dict[tuple[str, ...], list[Derived]] = {}
    taken = 0
    for uuid, event in lines.events.items():
        if taken >= MAX_ITEMS:
            mapped.ignored["too_many"] += 1
            continue
        for each in _items_of(event, lines.alerts.pop(uuid, {}), origin):
            items.setdefault((each.entity_id, each.alarm_id, each.check_id, each.item["id"]), []).append(each)
            taken += 1
    for some in items.values():
        parts = [each.item for each in some]
        whole = joined(parts)
        mapped.items.append(replace(some[0], item=whole))
        if lost := dropped(parts, whole):
            mapped.ignored["too_many_attempts"] += lost
    if lost := sum(len(alerts) for uuid, alerts in lines.alerts.items() if uuid not in lines.events):
        mapped.ignored["alert_without_event"] += lost
    return mapped


def _items_of(event: Event, by_number: dict[int, Alert], origin: Origin) -> list[Derived]:
    """Return an item for each alert of an event; an event without alerts has an item for each of its rules.

    It has none if an intermediary put them into another request, which is of no use without the event.
    """
    alerts = [by_number[number] for number in sorted(by_number)]
    rule_uid = event.rule_uids[0] if len(event.rule_uids) == 1 else ""
    if alerts:
        common = replace(common_of(alerts, event.status), rule_uid=rule_uid)
        return items_of(_notification_of(event, common, origin), alerts, origin)
    common = Alert(event.group_labels, {}, event.status, GROUP, {"alert_count": event.alert_count}, rule_uid)
    rules = [common] if origin.per_group else [replace(common, rule_uid=each) for each in event.rule_uids or [""]]
    return items_of(_notification_of(event, common, origin), rules, replace(origin, per_group=False))


def _notification_of(event: Event, common: Alert, origin: Origin) -> Notification:
    external = ",".join(f"{name}={value}" for name, value in sorted(event.external_labels.items()))
    parts = (NAME, origin.tenant, *([external] if external else ()), event.group_key, event.receiver)
    name = item_id(event.flush_ticks, *parts)
    return Notification(
        feed=NAME,
        item_id=name,
        ticks=event.flush_ticks,
        receiver=event.receiver,
        transaction_id=name,
        results=[_result_of(event)],
        source={"groupKey": event.group_key},
        source_end={"external_labels": event.external_labels} if external else {},
        common=common,
        rule=Rule.MERGE,
    )


def _result_of(event: Event) -> Document:
    attempt = _attempt_of(event)
    return {
        "notification_id": f"{event.integration}[{event.index}]",
        "notification_type": event.integration,
        "notification_details": {"receiver": event.receiver, "integrationIdx": event.index},
        "in_progress": False,  # nobody announces the end of retries
        "success": attempt["success"],
        "message": attempt["message"],
        "attempts": [attempt],
    }


def _attempt_of(event: Event) -> Document:
    duration = {} if event.duration_ms is None else {"duration_ms": event.duration_ms}
    # The flag says whether a failure may be retried. A success bears it too, where it says nothing.
    retryable = {"retryable": event.may_be_retried} if event.error else {}
    return {
        "message": _cut(event.error) or _ACCEPTED,
        "from": event.external_labels.get("instance") or NAME,
        "uuid": event.uuid,
        "at": event.ended_ms,
        **duration,
        **retryable,
        "success": not event.error,
    }


def _cut(error: str) -> str:
    """Return an error that is not too long: it may hold all that a receiver answered."""
    return error if len(error) <= MAX_ERROR else f"{error[: MAX_ERROR - 1]}…"


FEED = Feed(
    NAME,
    "Grafana's notification history, as a push to Loki",
    map_push,
    decoders={"application/json": read_json, "application/x-protobuf": read_push},
    codings={"snappy": unpack_snappy},
    push_path="/loki/api/v1/push",
    probes={"/loki/api/v1/labels": {"status": "success", "data": []}},
)
