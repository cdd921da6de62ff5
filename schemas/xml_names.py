"""The elements that the published XML schema declares globally, and whether an unnamed member fits their declarations.

XSD 1.0 can allow named elements in any order beside unnamed ones only by a wildcard over global declarations. So the
named members of all open documents are declared globally, and an unnamed member that has such a name is validated
against that declaration too.
"""

import re
from typing import Any

from marshmallow import fields

from notifhist.schemas import changelogs, deliveries, error, history, limits, logs, register, runs, states
from notifhist.schemas.document import DocumentSchema, member_fields
from notifhist.schemas.fields import FreeMap, JsonBoolean, JsonInteger, Text, place_in_xml

ROOTS: dict[str, tuple[DocumentSchema, ...]] = {
    "alarm_checks_map": (history.DISCOVERY,),
    "container": (
        *(history.HISTORY_PAGE, runs.RUNS_PAGE, logs.LOGS_PAGE),
        *(register.ENTITY_PAGE, register.ALARM_PAGE, register.CHECK_PAGE, states.STATES_PAGE),
        *(changelogs.CHANGELOGS_PAGE, changelogs.SUPPRESSION_LOGS_PAGE),
        *(deliveries.DELIVERIES_PAGE, deliveries.COUNTS, deliveries.RECEIVERS),
    ),
    "alarm_notification_history_item": (history.ITEM,),
    "notification_run": (runs.RUN,),
    "notification_log": (logs.LOG,),
    "entity": (register.ENTITY,),
    "alarm": (register.ALARM,),
    "check": (register.CHECK,),
    "limit": (limits.LIMITS,),
    "fault": (error.FAULT,),
    "error": (error.RUN_ERROR,),
}
"""Documents that stand alone in XML, by their element."""

COMMON_WORDS = {"entity", "alarm", "check", "limit"}
"""Roots whose names are common among unnamed members of items.

The XML schema lets their elements hold anything where they stand alone, so that such members keep their names.
"""

OPEN_DOCUMENTS: tuple[DocumentSchema, ...] = (history.ITEM, history.NotificationResultSchema(), history.ATTEMPT)


def _global_members() -> dict[str, fields.Field[Any]]:
    members: dict[str, fields.Field[Any]] = {}
    for schema in OPEN_DOCUMENTS:
        for name, field in member_fields(schema).items():
            if not place_in_xml(field).attribute:
                known = members.setdefault(name, field)
                if type(known) is not type(field):
                    raise TypeError(f"{name} has two types; one XML schema cannot declare both")
    return members


GLOBAL_MEMBERS = _global_members()
"""The fields of the open documents' members, by element name."""

DECLARED = GLOBAL_MEMBERS.keys() | (ROOTS.keys() - COMMON_WORDS)
"""The elements that an unnamed member might not fit."""

_BOOLEAN = re.compile("true|false|0|1")
_INTEGER = re.compile("-?[0-9]{1,18}")


def fits_declaration(name: str, value: object, text: str | None) -> bool:
    """Say whether an unnamed member is valid by the declaration of its name, if there is one.

    `text` is its text where it is a scalar, "" for null; None for a map or a list.
    """
    is_empty = text == "" or value == [] or value == {}
    if name in ROOTS and name not in COMMON_WORDS:
        # Only the root `error` may hold plain text, because attempts often have a member of that name.
        return name == "error" and (text is not None or is_empty)
    field = GLOBAL_MEMBERS.get(name)
    if isinstance(field, fields.List) and isinstance(field.inner, Text):
        field = field.inner  # of a list that repeats its own name each element has one of its texts
    match field:
        case None | FreeMap():
            return True
        case Text():
            return text is not None or is_empty
        case JsonBoolean():
            return text is not None and _BOOLEAN.fullmatch(text) is not None
        case JsonInteger(bounds=(low, high)):
            return text is not None and _INTEGER.fullmatch(text) is not None and low <= int(text) <= high
        case fields.List() if place_in_xml(field).item is None:
            # A list in a list becomes an element with `item` elements, which is read back as a map.
            return isinstance(value, dict | list) or is_empty
        case _:
            return is_empty
