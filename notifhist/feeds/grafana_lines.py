"""The lines in which Grafana writes its notification history to Loki, schema version 2: attempts and their alerts.

Source: grafana/alerting, notify/historian. The stream with the label `from="notify-history-events"` has a line for each
attempt to notify, `from="notify-history-alerts"` one for each alert in it, joined by the attempt's uuid.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import orjson

from notifhist.feeds.notifications import Alert
from notifhist.feeds.payloads import elements, members, text, texts, ticks_of, without_empty
from notifhist.schemas.document import Document

_EVENTS, _ALERTS, _FIRST_SCHEMA = "notify-history-events", "notify-history-alerts", "notify-history"
_SCHEMA_VERSION = 2
_NS_PER_MS = 1_000_000
_NANOSECONDS = re.compile("[0-9]{1,19}")
_REQUIRED_TEXTS = ("uuid", "receiver", "integration", "groupKey", "status")


@dataclass(frozen=True)
class Event:
    """One attempt of one integration of a receiver.

    `flush_ticks`: when the notification was due, which is the same for all its attempts, 100 ns since the epoch.
    `ended_ms`: when the attempt had ended, ms since the epoch. `external_labels` tell one Grafana from another.
    """

    uuid: str
    receiver: str
    integration: str
    index: int
    group_key: str
    status: str
    flush_ticks: int
    ended_ms: int
    duration_ms: int | None
    error: str
    may_be_retried: bool
    rule_uids: tuple[str, ...]
    group_labels: dict[str, str]
    alert_count: int
    external_labels: dict[str, str]


@dataclass
class Lines:
    """What a push says: events by uuid, their alerts by uuid and number, and how many lines were ignored, by reason."""

    events: dict[str, Event] = field(default_factory=dict)
    alerts: dict[str, dict[int, Alert]] = field(default_factory=dict)
    ignored: Counter[str] = field(default_factory=Counter)


def read_lines(push: Any) -> Lines:
    """Return what a push says, whatever JSON value it is."""
    lines = Lines()
    for stream in map(members, elements(members(push).get("streams"))):
        labels = texts(stream.get("stream"))
        origin = labels.pop("from", "")
        for entry in elements(stream.get("values")):
            if reason := _read_entry(lines, origin, labels, elements(entry)):
                lines.ignored[reason] += 1
    return lines


def _read_entry(lines: Lines, origin: str, labels: dict[str, str], entry: list[Any]) -> str:
    """Add what an entry of a stream says to `lines`; return why it was ignored, "" if it was not."""
    if origin == _FIRST_SCHEMA:
        return "schema_1"  # it has no uuid, so a repetition cannot be told from another attempt
    if origin not in (_EVENTS, _ALERTS):
        return "unknown_stream"
    line = _line(entry)
    if (version := line.get("schemaVersion")) != _SCHEMA_VERSION:
        return "schema_1" if version == 1 else "unknown_schema" if version else "unknown_line"
    if origin == _EVENTS:
        if (event := _event(line, text(entry[0]), labels)) is None:
            return "unknown_line"
        lines.events.setdefault(event.uuid, event)
        return ""
    index, uuid = line.get("alertIndex"), text(line.get("uuid"))
    if type(index) is not int or not uuid or not isinstance(line.get("labels"), dict):
        return "unknown_line"
    lines.alerts.setdefault(uuid, {}).setdefault(index, _alert(line))
    return ""


def _line(entry: list[Any]) -> Document:
    """Return the object of an entry's line; an empty one if it is none."""
    try:
        return members(orjson.loads(text(entry[1])))
    except (IndexError, orjson.JSONDecodeError):
        return {}


def _event(line: Document, nanoseconds: str, external_labels: dict[str, str]) -> Event | None:
    index, flush_ticks = line.get("integrationIdx"), ticks_of(line.get("pipelineTime"))
    is_whole = all(isinstance(line.get(name), str) for name in _REQUIRED_TEXTS) and line["uuid"]
    if not is_whole or type(index) is not int or flush_ticks is None or not _NANOSECONDS.fullmatch(nanoseconds):
        return None
    duration, count = line.get("duration"), line.get("alertCount")
    return Event(
        uuid=line["uuid"],
        receiver=line["receiver"],
        integration=line["integration"],
        index=index,
        group_key=line["groupKey"],
        status=line["status"],
        flush_ticks=flush_ticks,
        ended_ms=int(nanoseconds) // _NS_PER_MS,
        duration_ms=duration // _NS_PER_MS if type(duration) is int else None,
        error=text(line.get("error")),
        may_be_retried=line.get("retry") is True,
        rule_uids=tuple(dict.fromkeys(map(text, elements(line.get("ruleUIDs"))))),
        group_labels=texts(line.get("groupLabels")),
        alert_count=count if type(count) is int else 0,
        external_labels=external_labels,
    )


def _alert(line: Document) -> Alert:
    labels = texts(line["labels"])
    return Alert(
        labels=labels,
        annotations=texts(line.get("annotations")),
        state=text(line.get("status")) or "unknown",
        check="",
        source=without_empty(startsAt=text(line.get("startsAt"))),
    )
