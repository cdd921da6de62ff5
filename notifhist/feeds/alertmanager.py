"""Alertmanager's webhook, version 4, and the webhook of Grafana's alerting, which has more members.

A notification has neither a time nor an id: a body that is sent again because the answer was lost equals the body of a
repeated notification. So the time is that of receipt, and what repeats within seconds is the same.
Docs: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

import hashlib
from typing import Any

import orjson

from notifhist.feeds.feed import Feed, Mapped, Origin, Rule
from notifhist.feeds.item_ids import item_id
from notifhist.feeds.labels import GROUP
from notifhist.feeds.notifications import Alert, Notification, items_of
from notifhist.feeds.payloads import elements, kept, members, text, texts, without_empty
from notifhist.schemas.document import Document

NAME = "alertmanager"
_HASH_CHARS = 32
_GRAFANA = "1"
"""Grafana's `version`; that of Alertmanager is "4"."""
_NO_TIME = "0001-01-01T00:00:00Z"
"""The `endsAt` of an alert that is firing."""
_KEPT_OF_NOTIFICATION = ("externalURL", "truncatedAlerts", "notification_reason", "orgId")
_KEPT_OF_ALERT = ("ruleUID", "valueString", "dashboardURL", "panelURL")


def map_notification(payload: Any, origin: Origin) -> Mapped:
    """Return the items of the body of a webhook, one for each alert."""
    body, mapped = members(payload), Mapped()
    if not isinstance(body.get("alerts"), list):
        mapped.ignored["no_notification"] += 1
        return mapped
    alerts = []
    for each in body["alerts"]:
        if isinstance(each, dict):
            alerts.append(_alert_of(each, text(body.get("status"))))
        else:
            mapped.ignored["no_alert"] += 1
    if alerts:
        mapped.items = items_of(_notification_of(body, alerts, origin), alerts, origin)
    return mapped


def _alert_of(alert: Document, status: str) -> Alert:
    labels = texts(alert.get("labels"))
    ends_at = text(alert.get("endsAt"))
    return Alert(
        labels=labels,
        annotations=texts(alert.get("annotations")),
        state=text(alert.get("status")) or status or "unknown",
        check=text(alert.get("fingerprint")),
        source=without_empty(
            startsAt=text(alert.get("startsAt")),
            endsAt="" if ends_at == _NO_TIME else ends_at,
            **{name: text(alert.get(name)) for name in _KEPT_OF_ALERT},
        ),
        rule_uid=text(alert.get("ruleUID")),
    )


def _notification_of(body: Document, alerts: list[Alert], origin: Origin) -> Notification:
    digest, receiver = _content_hash(body), text(body.get("receiver"))
    kept_members = {name: kept(body.get(name)) for name in _KEPT_OF_NOTIFICATION if body.get(name)}
    return Notification(
        feed=NAME,
        item_id=item_id(origin.received_ticks, "alertmanager-webhook", origin.tenant, digest),
        ticks=origin.received_ticks,
        receiver=receiver,
        transaction_id=digest,
        results=[_result_of(receiver, "Grafana" if _is_grafana(body) else "Alertmanager")],
        source={"groupKey": text(body.get("groupKey"))},
        source_end=kept_members,
        common=Alert(
            labels=texts(body.get("commonLabels")),
            annotations=texts(body.get("commonAnnotations")),
            state=text(body.get("status")) or alerts[0].state,
            check=GROUP,
            source={},
        ),
        rule=Rule.UNLESS_REPEATED,
    )


def _is_grafana(body: Document) -> bool:
    return "orgId" in body or body.get("version") == _GRAFANA


def _result_of(receiver: str, sender: str) -> Document:
    return {
        "notification_id": receiver,
        "notification_type": "unknown",
        "notification_details": {"receiver": receiver},
        "message": (
            f"{sender} notified this receiver; "
            "this feed does not say whether the receiver's other integrations were reached"
        ),
    }


def _content_hash(body: Document) -> str:
    """Return a hash of what makes a notification, without what differs between the members of a cluster."""
    named = ("fingerprint", "status", "startsAt", "endsAt")
    alerts = sorted([text(alert.get(name)) for name in named] for alert in map(members, elements(body["alerts"])))
    content = [*(text(body.get(name)) for name in ("receiver", "groupKey", "status")), alerts]
    return hashlib.sha256(orjson.dumps(content)).hexdigest()[:_HASH_CHARS]


FEED = Feed(NAME, "Alertmanager's webhook (version 4), or the webhook of a contact point of Grafana", map_notification)
