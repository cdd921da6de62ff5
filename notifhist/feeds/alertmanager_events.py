"""Alertmanager's event recorder: what was sent and by which integration, and what was not sent, and why.

An event is made when an integration has accepted a notification, and at each evaluation in which a silence or another
alert mutes an alert.
Source: github.com/prometheus/alertmanager, `eventrecorder`.
"""

from typing import Any

from notifhist.feeds.feed import Derived, Feed, Mapped, Origin, Rule
from notifhist.feeds.item_ids import item_id
from notifhist.feeds.labels import place_of
from notifhist.feeds.notifications import Alert, Notification, common_of, items_of
from notifhist.feeds.payloads import elements, kept, members, text, ticks_of, without_empty
from notifhist.feeds.recorder_values import check_of, integer_text, labels_of
from notifhist.schemas.document import Document
from notifhist.schemas.fields import TICKS_PER_MS

NAME = "alertmanager-events"
_ID = "alertmanager"
_ACCEPTED = "accepted; earlier failed attempts are not reported by this feed"


def map_events(payload: Any, origin: Origin) -> Mapped:
    """Return the items of an event, or of a list of events; all but three types of events are ignored."""
    mapped = Mapped()
    events = payload if isinstance(payload, list) else [payload]
    for number, event in enumerate(events):
        if mapped.is_full:
            mapped.ignored["too_many"] += len(events) - number
            break
        data, ticks = members(members(event).get("data")), ticks_of(members(event).get("@timestamp"))
        kind = next((name for name in _KINDS if isinstance(data.get(name), dict)), None)
        if kind is None:
            mapped.ignored["event_type" if data else "no_event"] += 1
        elif ticks is None:
            mapped.ignored["no_time"] += 1
        else:
            _KINDS[kind](data[kind], _Event(text(event.get("instance")), ticks, origin), mapped)
    return mapped


class _Event:
    """What all events have: the Alertmanager's name for itself, and the time (100 ns since the epoch)."""

    def __init__(self, instance: str, ticks: int, origin: Origin) -> None:
        self.instance, self.ticks, self.origin = instance, ticks, origin
        self.timestamp = ticks // TICKS_PER_MS

    def item_id(self, *parts: str) -> str:
        """Return the id of an item of the event."""
        return item_id(self.ticks, _ID, self.origin.tenant, self.instance, *parts)


def _map_notification(body: Document, event: _Event, mapped: Mapped) -> None:
    # An alert without details is known by its hash alone. Newer versions have no level of details.
    details = [members(each).get("details", each) for each in elements(body.get("alerts"))]
    alerts = [_alert_of(each) for each in details if isinstance(each, dict) and "labels" in each]
    if len(alerts) < len(details):
        mapped.ignored["no_alert"] += len(details) - len(alerts)
    if alerts:
        mapped.items += items_of(_notification_of(body, event, alerts), alerts, event.origin)


def _alert_of(details: Document) -> Alert:
    labels, is_resolved = labels_of(details.get("labels")), details.get("resolved") is True
    return Alert(
        labels=labels,
        annotations=labels_of(details.get("annotations")),
        state="resolved" if is_resolved else "firing",
        check=check_of(details.get("fingerprint"), labels),
        source=without_empty(
            startsAt=text(details.get("startsAt")), endsAt=text(details.get("endsAt")) if is_resolved else ""
        ),
    )


def _notification_of(body: Document, event: _Event, alerts: list[Alert]) -> Notification:
    group, flush = members(body.get("groupInfo")), integer_text(body.get("flushId"))
    integration = members(body.get("integration"))
    kind, receiver = text(integration.get("name")) or "unknown", text(group.get("receiverName"))
    name = f"{kind}[{integer_text(integration.get('index'))}]"
    attempt = {"message": _ACCEPTED, "from": event.instance, "at": event.timestamp}
    group_uuid = text(group.get("groupUuid"))
    state = "resolved" if all(alert.state == "resolved" for alert in alerts) else "firing"
    return Notification(
        feed=NAME,
        item_id=event.item_id(group_uuid, flush, name),
        ticks=event.ticks,
        receiver=receiver,
        transaction_id=f"{group_uuid}/{flush}",
        results=[
            {
                "notification_id": name,
                "notification_type": kind,
                "notification_details": {"receiver": receiver},
                "in_progress": False,
                "success": True,
                "message": "accepted",
                "attempts": [attempt],
            }
        ],
        source=without_empty(groupKey=text(group.get("groupKey")), reason=text(body.get("reason"))),
        common=common_of(alerts, state),
    )


def _map_silenced(body: Document, event: _Event, mapped: Mapped) -> None:
    silence = members(body.get("silence"))
    silence_id = text(silence.get("id"))
    if not silence_id:
        mapped.ignored["no_suppression"] += 1
        return
    told = f"silenced by {text(silence.get('createdBy')) or 'somebody'}"
    if ends_at := text(silence.get("endsAt")):
        told += f" until {ends_at}"
    if comment := text(silence.get("comment")):
        told += f": {comment}"
    mapped.items.append(_not_sent(body, event, "silence", [silence_id], told, kept(silence)))


def _map_inhibited(body: Document, event: _Event, mapped: Mapped) -> None:
    rules = [each for each in elements(body.get("inhibitRules")) if isinstance(each, dict)]
    # Several sources of one rule come as so many rules of one name.
    names = list(dict.fromkeys(map(_rule_name, rules)))
    if not names:
        mapped.ignored["no_suppression"] += 1
        return
    inhibition = without_empty(
        rules=kept(rules),
        inhibitingFingerprints=[check_of(each, {}) for each in elements(body.get("inhibitingFingerprints"))],
    )
    told = f"inhibited by {', '.join(names)}"
    mapped.items.append(_not_sent(body, event, "inhibition", names, told, inhibition))


def _not_sent(body: Document, event: _Event, kind: str, names: list[str], told: str, detail: Document) -> Derived:
    """Return the item of an alert that was not sent because of what is named."""
    alert, name = members(body.get("mutedAlert")), ", ".join(names)
    labels = labels_of(alert.get("labels"))
    check = check_of(alert.get("fingerprint"), labels)
    item = {
        "id": event.item_id(kind, name, check),
        "timestamp": event.timestamp,
        "transaction_id": f"{kind}/{name}",
        "state": "firing",
        "status": f"not sent: {told}",
        "notification_results": [],
        "suppressions": names,
        "source": {"feed": NAME, "not_sent": kind, kind: detail, "labels": labels},
    }
    return Derived(*place_of(labels, event.origin, NAME, check), item, Rule.UNLESS_SAME_SUPPRESSION)


def _rule_name(rule: Document) -> str:
    """Return the name of an inhibition rule, else its matchers."""
    if name := text(rule.get("name")):
        return name
    source, target = (
        ",".join(text(members(each).get("rendered")) for each in elements(rule.get(matchers)))
        for matchers in ("sourceMatchers", "targetMatchers")
    )
    equal = ",".join(map(text, elements(rule.get("equalLabels"))))
    return f"{{{source}}} > {{{target}}} equal ({equal})"


_KINDS = {"notification": _map_notification, "silenceMutedAlert": _map_silenced, "inhibitionMutedAlert": _map_inhibited}
"""The types of events that make items."""

FEED = Feed(NAME, "An event of Alertmanager's event recorder, or a list of events", map_events, takes_lists=True)
