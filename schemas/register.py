"""The register of what has history: entities, their alarms and checks (docs/contract.md, "What has history").

The shapes are published; what only their own service knows is null.
"""

from typing import Any

from marshmallow import fields

from notifhist.schemas.document import Document, DocumentSchema
from notifhist.schemas.fields import in_xml
from notifhist.schemas.history import page_of


def _unknown() -> fields.Field[Any]:
    return fields.Raw(required=True, allow_none=True, metadata={"description": "null: the history does not know it"})


def _id() -> fields.Field[Any]:
    return fields.String(required=True, metadata=in_xml(attribute=True))


class EntitySchema(DocumentSchema):
    """An entity."""

    root = "entity"
    description = "An entity that has history."

    id = _id()
    label = fields.String(required=True, metadata={"description": "the id"})
    metadata = _unknown()
    ip_addresses = _unknown()
    scheduled_suppressions = fields.List(fields.String(), required=True)
    active_suppressions = fields.List(fields.String(), required=True)


class AlarmSchema(DocumentSchema):
    """An alarm."""

    root = "alarm"
    description = "An alarm that has history."

    id = _id()
    check_id = fields.String(required=True, metadata={"description": "that of the alarm's newest item"})
    criteria = _unknown()
    notification_plan_id = fields.String(
        required=True, allow_none=True, metadata={"description": "that of the alarm's newest item"}
    )


class CheckSchema(DocumentSchema):
    """A check."""

    root = "check"
    description = "A check that has history."

    id = _id()
    type = _unknown()
    timeout = _unknown()
    period = _unknown()
    monitoring_zones_poll = _unknown()


ENTITY, ALARM, CHECK = EntitySchema(), AlarmSchema(), CheckSchema()
ENTITY_PAGE = page_of(EntitySchema, "EntityPage", "A page of entities, sorted by id.")
ALARM_PAGE = page_of(AlarmSchema, "AlarmPage", "A page of an entity's alarms, sorted by id.")
CHECK_PAGE = page_of(CheckSchema, "CheckPage", "A page of an entity's checks, sorted by id.")


def entity_of(entity_id: str) -> Document:
    """Return the document of an entity."""
    unknown = {"metadata": None, "ip_addresses": None}
    return {"id": entity_id, "label": entity_id, **unknown, "scheduled_suppressions": [], "active_suppressions": []}


def alarm_of(alarm_id: str, check_id: str, notification_plan_id: str | None) -> Document:
    """Return the document of an alarm, of whose newest item the last two are."""
    return {"id": alarm_id, "check_id": check_id, "criteria": None, "notification_plan_id": notification_plan_id}


def check_of(check_id: str) -> Document:
    """Return the document of a check."""
    return {"id": check_id, "type": None, "timeout": None, "period": None, "monitoring_zones_poll": None}
