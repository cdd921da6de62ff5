"""The latest state of each check, by entity (docs/contract.md, "Latest alarm states"); the shape is published."""

from typing import Any

from marshmallow import fields

from notifhist.schemas.document import Document, DocumentSchema
from notifhist.schemas.fields import MAX_TIMESTAMP, JsonInteger, TimeUuid
from notifhist.schemas.history import page_of
from notifhist.schemas.query import CheckPath
from notifhist.schemas.validation import Documents


def _text(**options: Any) -> fields.Field[Any]:
    return fields.String(required=True, **options)


class LatestAlarmStateSchema(DocumentSchema):
    """The newest item of a check, less its results."""

    root = "latest_alarm_states"
    description = "The newest item of a check, without its results."

    timestamp = JsonInteger(bounds=(0, MAX_TIMESTAMP), required=True)
    entity_id = _text()
    alarm_id = _text()
    check_id = _text()
    status = _text(allow_none=True)
    state = _text()
    previous_state = _text(allow_none=True)
    alarm_changelog_id = TimeUuid(
        required=True, allow_none=True, metadata={"description": "the id of the check's newest change of state"}
    )
    analyzed_by_monitoring_zone_id = _text(allow_none=True)
    alarm_label = _text(allow_none=True)


class EntityStatesSchema(DocumentSchema):
    """The latest states of an entity's checks."""

    root = "entity_alarm_states"
    description = "The latest states of an entity's checks, by alarm and check."

    entity_id = _text()
    entity_uri = _text(allow_none=True)
    entity_label = _text(metadata={"description": "the id"})
    latest_alarm_states = Documents(fields.Nested(LatestAlarmStateSchema), required=True)


_ABOUT = "A page of entities with the latest states of their checks, sorted by the entity's id."
STATES_PAGE = page_of(EntityStatesSchema, "StatesPage", _ABOUT)


def state_of(check: CheckPath, item: Document, alarm_changelog_id: str | None) -> Document:
    """Return the state that the newest item of a check tells; what the item does not tell is null."""
    # A sender may give this unnamed member any value; the published one is a text.
    zone = item.get("analyzed_by_monitoring_zone_id")
    return {
        "timestamp": item["timestamp"],
        "entity_id": check.entity_id,
        "alarm_id": check.alarm_id,
        "check_id": check.check_id,
        "status": item.get("status"),
        "state": item["state"],
        "previous_state": item.get("previous_state"),
        "alarm_changelog_id": alarm_changelog_id,
        "analyzed_by_monitoring_zone_id": zone if isinstance(zone, str) else None,
        "alarm_label": None,
    }


def states_of(entity_id: str, states: list[Document]) -> Document:
    """Return the document of an entity with its latest states."""
    labels = {"entity_id": entity_id, "entity_uri": None, "entity_label": entity_id}
    return {**labels, "latest_alarm_states": states}
