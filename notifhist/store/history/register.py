"""The register: the entities, alarms and checks that have history. It is no table, but the series that have items.

`oldest_ms` and the cost: see `listing`. Each function raises NotFound for what has no history.
Contract: docs/contract.md, "What has history".
"""

from notifhist.errors import NotFound
from notifhist.schemas.document import Document
from notifhist.schemas.query import AlarmPath, EntityPath, RegisterQuery
from notifhist.schemas.register import alarm_of
from notifhist.serializers.stored import MAX_PAGE_BYTES
from notifhist.store.database import Database
from notifhist.store.history.listing import Group, Level, RegisterPage, Series, groups_of, list_groups, newest_items

_FEW = 4
"""How many series an alarm or check has, as a guess: a statement more reads the others."""


def list_entities(db: Database, query: RegisterQuery, oldest_ms: int | None) -> RegisterPage[str]:
    """Return the ids of a page of the tenant's entities."""
    return _list_ids(db, Level.ENTITIES, query, oldest_ms)


def list_checks(db: Database, entity: EntityPath, query: RegisterQuery, oldest_ms: int | None) -> RegisterPage[str]:
    """Return the ids of a page of the entity's checks, each once, though several alarms have it."""
    page = _list_ids(db, Level.CHECKS, query, oldest_ms)
    if not page.values:
        find_entity(db, entity, oldest_ms)
    return page


def list_alarms(
    db: Database, entity: EntityPath, query: RegisterQuery, oldest_ms: int | None
) -> RegisterPage[Document]:
    """Return a page of the entity's alarms."""
    alarms: list[Document] = []
    size = 0
    with db.reading():
        page = list_groups(db, Level.ALARMS, query, oldest_ms)
        for series, item in newest_items(db, map(_newest_of, page.values)):
            if size > MAX_PAGE_BYTES:  # a plan's id may have 10 MB
                return RegisterPage(alarms, series.check.alarm_id)
            alarms.append(_alarm(series, item))
            size += len(item.get("notification_plan_id", ""))
    if not alarms:
        find_entity(db, entity, oldest_ms)
    return RegisterPage(alarms, page.next_marker)


def find_entity(db: Database, entity: EntityPath, oldest_ms: int | None) -> None:
    """Look for an entity; it does not exist if all its series have expired."""
    if not any(group.series for group in groups_of(db, Level.ALARMS, RegisterQuery(entity, _FEW), oldest_ms)):
        raise NotFound("No such entity.", f"{entity.entity_id} has no history.")


def find_alarm(db: Database, alarm: AlarmPath, oldest_ms: int | None) -> Document:
    """Return an alarm."""
    with db.reading():
        group = _find(db, Level.ALARMS, alarm, alarm.alarm_id, oldest_ms)
        ((series, item),) = newest_items(db, [_newest_of(group)])
    return _alarm(series, item)


def find_check(db: Database, entity: EntityPath, check_id: str, oldest_ms: int | None) -> None:
    """Look for a check of any alarm of the entity."""
    _find(db, Level.CHECKS, entity, check_id, oldest_ms)


def _list_ids(db: Database, level: Level, query: RegisterQuery, oldest_ms: int | None) -> RegisterPage[str]:
    page = list_groups(db, level, query, oldest_ms, are_whole=False)
    return RegisterPage([group.id for group in page.values], page.next_marker)


def _find(db: Database, level: Level, entity: EntityPath, wanted: str, oldest_ms: int | None) -> Group:
    """Return the group of an entity that has the id `wanted`. Raises NotFound if it has no history."""
    group = next(groups_of(db, level, RegisterQuery(entity, _FEW, wanted), oldest_ms), None)
    if group is None or group.id != wanted or not group.series:
        raise NotFound(f"No such {level.name.lower()[:-1]}.", f"{wanted} of {entity.entity_id} has no history.")
    return group


def _newest_of(group: Group) -> Series:
    """Return the series with the newest item; of those with equal items the one whose check is the last by id."""
    return max(group.series, key=lambda each: (each.newest, each.check.check_id))


def _alarm(series: Series, item: Document) -> Document:
    return alarm_of(series.check.alarm_id, series.check.check_id, item.get("notification_plan_id"))
