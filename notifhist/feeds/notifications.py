"""A notification about several alerts, as Alertmanager and Grafana send them, to one item for each alert."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from notifhist.feeds.feed import Derived, Origin, Rule
from notifhist.feeds.labels import GROUP, fingerprint, place_of, status_of, without_internal
from notifhist.schemas.document import Document
from notifhist.schemas.fields import TICKS_PER_MS

MAX_ALERTS = 1000
"""So many alerts of one notification have items of their own."""


@dataclass(frozen=True)
class Alert:
    """An alert of a notification. `source` is what the item keeps of it beside its labels.

    `check` is its fingerprint; if it is empty, that is computed, for those alerts alone that become items.
    """

    labels: dict[str, str]
    annotations: dict[str, str]
    state: str
    check: str
    source: Document
    rule_uid: str = ""


@dataclass(frozen=True)
class Notification:
    """What the items of all alerts of a notification share.

    `ticks`: the time of the item id, 100 ns since the epoch. `source` and `source_end` precede and follow what an
    item's `source` has of its alert. `common` is the alert that stands for all of them in an item of the whole.
    """

    feed: str
    item_id: str
    ticks: int
    receiver: str
    transaction_id: str
    results: Sequence[Document]
    source: Document
    common: Alert
    source_end: Document = field(default_factory=dict)
    rule: Rule = Rule.CREATE


def items_of(notification: Notification, alerts: Sequence[Alert], origin: Origin) -> list[Derived]:
    """Return an item for each alert, all of the same id; with `origin.per_group` one for the notification.

    Of more than MAX_ALERTS alerts the first ones have items, and one more stands beside that of the first alert, under
    the check `GROUP`; it tells how many there were.
    """
    count = {"alert_count": len(alerts)}
    if origin.per_group:
        return [_derived(notification, notification.common, origin, count)]
    items = [_derived(notification, alert, origin) for alert in alerts[:MAX_ALERTS]]
    if len(alerts) > MAX_ALERTS:
        rest = _derived(notification, notification.common, origin, {**count, "truncated": True})
        items.append(Derived(items[0].entity_id, items[0].alarm_id, GROUP, rest.item, rest.rule))
    return items


def common_of(alerts: Iterable[Alert], state: str) -> Alert:
    """Return an alert that has what all alerts have in common."""
    each = list(alerts)
    return Alert(
        labels=_common(alert.labels for alert in each),
        annotations=_common(alert.annotations for alert in each),
        state=state,
        check=GROUP,
        source={},
    )


def _common(maps: Iterable[dict[str, str]]) -> dict[str, str]:
    several = list(maps)
    if not several:
        return {}
    return {name: value for name, value in several[0].items() if all(each.get(name) == value for each in several)}


def _derived(about: Notification, alert: Alert, origin: Origin, counts: Document | None = None) -> Derived:
    item: dict[str, Any] = {
        "id": about.item_id,
        "timestamp": about.ticks // TICKS_PER_MS,
        "notification_plan_id": about.receiver,
        "transaction_id": about.transaction_id,
        "state": alert.state,
    }
    if status := status_of(alert.annotations):
        item["status"] = status
    item["notification_results"] = list(about.results)
    item["source"] = {
        "feed": about.feed,
        **about.source,
        "labels": alert.labels,
        "annotations": without_internal(alert.annotations),
        **alert.source,
        **about.source_end,
        **(counts or {}),
    }
    check = alert.check or fingerprint(alert.labels)
    return Derived(*place_of(alert.labels, origin, about.feed, check, alert.rule_uid), item, about.rule)
