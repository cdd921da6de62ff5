"""Pushes to Loki as Grafana makes them, with any members changed."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.go_quoting import labels_text

AT = "1795727071112233445"


class Line(NamedTuple):
    """A line of a push: the stream it belongs to, its time in ns, and its text."""

    stream: str
    at: str
    text: str


def event_line(at: str = AT, **members: Any) -> Line:
    """Return the line of an attempt that succeeded, unless it has an `error`."""
    event = {
        "schemaVersion": 2,
        "uuid": "u1",
        "ruleUIDs": ["r1"],
        "folderUIDs": ["f1"],
        "receiver": "ops",
        "integration": "slack",
        "integrationIdx": 0,
        "groupKey": '{}:{alertname="DiskWillFill"}',
        "status": "firing",
        "groupLabels": {"alertname": "DiskWillFill"},
        "alertCount": 1,
        "retry": True,
        "duration": 812345678,
        "pipelineTime": "2026-11-26T21:04:30.000418276Z",
        **members,
    }
    return Line("notify-history-events", at, json.dumps(event))


def event_of(attempt: Mapping[str, Any], **members: Any) -> Line:
    """Return the line of an attempt: `at` (ms after the first ones), `uuid`, `integration`, `index`, `error`."""
    return event_line(
        at=str(1_795_727_070_000_000_000 + attempt["at"] * 1_000_000),
        uuid=attempt["uuid"],
        integration=attempt["integration"],
        integrationIdx=attempt["index"],
        error=attempt["error"],
        **members,
    )


def alert_line(index: Any, **members: Any) -> Line:
    """Return the line of an alert."""
    alert = {
        "schemaVersion": 2,
        "uuid": "u1",
        "alertIndex": index,
        "status": "firing",
        "labels": {"alertname": "DiskWillFill", "instance": "db3"},
        "annotations": {"summary": "/var fills"},
        "startsAt": "2026-11-26T21:04:00Z",
        "endsAt": "2026-11-26T21:08:00Z",
        **members,
    }
    return Line("notify-history-alerts", AT, json.dumps(alert))


def push_of(*lines: Line, stream: str = "", at: str = "", **external_labels: str) -> dict[str, Any]:
    """Return a push of lines, in JSON; `stream` and `at` replace theirs."""
    streams: dict[str, list[Any]] = {}
    for line in lines:
        streams.setdefault(stream or line.stream, []).append([at or line.at, line.text])
    return {
        "streams": [{"stream": {"from": name, **external_labels}, "values": values} for name, values in streams.items()]
    }


def in_protobuf(push: dict[str, Any]) -> bytes:
    """Return a push in protobuf, with the metadata of its lines, encoded by hand: the messages' definition twice."""
    return b"".join(_field(1, _stream(each["stream"], each["values"])) for each in push["streams"])


def _stream(labels: dict[str, str], values: list[Any]) -> bytes:
    return _field(1, labels_text(labels).encode()) + b"".join(_field(2, _entry(*value)) for value in values)


def _entry(at: str, line: str, metadata: Mapping[str, str] | None = None) -> bytes:
    seconds, nanos = divmod(int(at), 1_000_000_000)
    timestamp = b"".join(_number(n, value) for n, value in ((1, seconds), (2, nanos)) if value)
    pairs = [_field(1, name.encode()) + _field(2, value.encode()) for name, value in (metadata or {}).items()]
    return _field(1, timestamp) + _field(2, line.encode()) + b"".join(_field(3, pair) for pair in pairs)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return bytes([number << 3]) + _varint(value)


def _varint(value: int) -> bytes:
    groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])
