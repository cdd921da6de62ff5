"""Payloads of Alertmanager in any shape, and the rules that every item of a feed keeps."""

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from notifhist.feeds.feed import Derived, Mapped, Origin
from notifhist.schemas.fields import TICKS_PER_MS, is_path_id
from notifhist.schemas.history import ITEM
from notifhist.schemas.item_ids import key_of
from notifhist.schemas.validation import validate
from tests.payloads import payload

RECEIVED_TICKS = 17_957_270_960_782_306
"""The time of receipt of which `alertmanager-webhook.mapped.json` was made, 100 ns since the epoch."""
ACME = Origin("acme", RECEIVED_TICKS)
WEBHOOK: dict[str, Any] = payload("alertmanager-0.25-webhook-1-firing")
NOTIFICATION: dict[str, Any] = payload("alertmanager-recorder-notification")
SILENCED: dict[str, Any] = payload("alertmanager-recorder-silenced")


def line_of(derived: Derived, tenant: str = "acme") -> dict[str, Any]:
    """Return a derived item as a line of an export."""
    ids = {"entity_id": derived.entity_id, "alarm_id": derived.alarm_id, "check_id": derived.check_id}
    return {"tenant": tenant, **ids, "item": derived.item}


def changed(original: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return a copy of a payload with other members."""
    return {**deepcopy(original), **members}


def webhook_of(*alerts: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return a webhook about alerts, each given by the members that differ from the example's."""
    return changed(WEBHOOK, alerts=[changed(WEBHOOK["alerts"][0], **alert) for alert in alerts], **members)


def event_of(kind: str, body: dict[str, Any], at: str = "2026-11-26T22:00:00Z", **members: Any) -> dict[str, Any]:
    """Return an event of the recorder."""
    return {"@timestamp": at, "instance": "am-0", "data": {kind: body}, **members}


def assert_sound(mapped: Mapped) -> None:
    """Assert that each item could have been recorded by POST as it is, and that reasons are words."""
    for derived in mapped.items:
        assert all(map(is_path_id, (derived.entity_id, derived.alarm_id, derived.check_id)))
        assert validate(ITEM, derived.item) == derived.item
        assert key_of(derived.item["id"]).ticks // TICKS_PER_MS == derived.item["timestamp"]
    assert all(reason.replace("_", "").isalnum() and count > 0 for reason, count in mapped.ignored.items())


def only_item(mapped: Mapped) -> Derived:
    """Return the one item of a payload, of which nothing was ignored."""
    assert_sound(mapped)
    assert not mapped.ignored
    (derived,) = mapped.items
    return derived


_SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()


def any_json() -> st.SearchStrategy[Any]:
    """Return a strategy for JSON values."""
    return st.recursive(_SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


def spoilt(original: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for a value like the original, any part of which may be missing or something else."""
    if isinstance(original, dict):
        members = {name: spoilt(value) for name, value in original.items()}
        as_it_was: st.SearchStrategy[Any] = st.fixed_dictionaries({}, optional=members)
    elif isinstance(original, list):
        as_it_was = st.lists(spoilt(original[0]), max_size=3) if original else st.just([])
    else:
        as_it_was = st.just(original)
    return st.one_of(as_it_was, as_it_was, as_it_was, any_json())
