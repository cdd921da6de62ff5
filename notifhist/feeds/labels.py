"""Where an alert goes, by its labels: the choice of entity, alarm and check that Alertmanager's and Grafana's share."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from notifhist.feeds.feed import Origin
from notifhist.run.ids import path_id

ENTITY_LABELS = ("entity", "instance", "host", "hostname", "node", "nodename", "pod", "service", "job")
"""The labels that name the entity, the first one that is present."""
RULE_UID = "__alert_rule_uid__"
"""The label in which Grafana has the UID of the alert's rule."""
ALARM_LABELS = (RULE_UID, "alertname")
GROUP = "group"
"""The check of items that stand for a whole notification, not for one alert of it."""

Labels = Mapping[str, str]
MAX_HASHED = 4096
"""So many bytes of labels are hashed byte by byte, which takes 0.7 ms; for the 16 MiB of a body it would take 3 s."""
_HEX_DIGITS = 16
_FNV_OFFSET, _FNV_PRIME, _64_BITS = 0xCBF29CE484222325, 0x100000001B3, 2**64 - 1


class Place(NamedTuple):
    """Where an alert goes: an entity, an alarm and a check, as ids that may stand in a path."""

    entity_id: str
    alarm_id: str
    check_id: str


def place_of(labels: Labels, origin: Origin, feed: str, check: str, rule_uid: str = "") -> Place:
    """Return where an alert goes; `check` is its fingerprint, or `GROUP`.

    `rule_uid` is that of Grafana's rule, if it is known by other means than the labels. An alert none of whose labels
    names an entity is of the entity that is called as the feed.
    """
    entity = _first(labels, (*origin.entity_labels, *ENTITY_LABELS)) or feed
    alarm = _first(labels, origin.alarm_labels) or rule_uid or _first(labels, ALARM_LABELS)
    return Place(path_id(entity), path_id(alarm), path_id(check))


def fingerprint(labels: Labels) -> str:
    """Return an alert's fingerprint as Alertmanager computes it, 16 hex digits: FNV-1a over its sorted labels.

    Of labels that have more than MAX_HASHED bytes it is the beginning of their SHA-256.
    """
    hashed = b"".join(
        b"%b\xff%b\xff" % (name.encode(), labels[name].encode()) for name in sorted(labels, key=str.encode)
    )
    if len(hashed) > MAX_HASHED:
        return hashlib.sha256(hashed).hexdigest()[:_HEX_DIGITS]
    value = _FNV_OFFSET
    for byte in hashed:
        value = (value ^ byte) * _FNV_PRIME & _64_BITS
    return f"{value:016x}"


def without_internal(labels: Labels) -> dict[str, str]:
    """Return labels or annotations without those that Grafana keeps for itself (`__x__`)."""
    return {name: value for name, value in labels.items() if not (name.startswith("__") and name.endswith("__"))}


def status_of(annotations: Labels) -> str:
    """Return the text for people: the summary, else the description; "" if there is neither."""
    return annotations.get("summary") or annotations.get("description") or ""


def _first(labels: Labels, names: Iterable[str]) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")
