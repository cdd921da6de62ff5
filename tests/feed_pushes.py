"""Pushes to Loki as Grafana makes them, with any members changed."""

import json
from typing import Any, NamedTuple

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
