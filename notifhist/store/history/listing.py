"""How the series of a tenant are listed by id, in groups, with the newest item of each.

`oldest_ms` is the time before which everything has expired, ms since the epoch, UTC; None if nothing ever does. The
cost grows with the number of series that are looked at, not of their items: to find the newest is one seek of an index.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import groupby, islice
from typing import Any, Generic, NamedTuple, TypeVar

import orjson

from notifhist.schemas.document import Document
from notifhist.schemas.fields import MAX_PATH_ID
from notifhist.schemas.item_ids import ItemKey
from notifhist.schemas.query import CheckPath, RegisterQuery
from notifhist.store.database import Database
from notifhist.store.database.sql import rows
from notifhist.store.history.items import find_documents
from notifhist.store.history.newest import newest_keys
from notifhist.store.tenants import TENANT_ID
from notifhist.store.time_ranges import low_ticks

MAX_SERIES_OF_PAGE = 10_000
"""A page ends after the group in which it has looked at so many series, expired ones too: it may be short, or empty."""
_MOST_SERIES = 1000
"""How many series a statement reads at most: each reads twice as many as the one before."""
_DOCUMENTS_TOGETHER = 100
"""How many documents are in memory at once: one may have 16 MiB."""

_LAST_ID = "\U0010ffff" * (MAX_PATH_ID + 1)
_EDGES: dict[bool, dict[str, str | int]] = {
    False: {"entity_id": "", "alarm_id": "", "check_id": "", "id": 0},
    True: {"entity_id": _LAST_ID, "alarm_id": _LAST_ID, "check_id": _LAST_ID, "id": 2**63 - 1},
}
"""Values that sort before all others, and after all others, by column."""

T = TypeVar("T")


class Level(Enum):
    """What is listed, with the columns of the index that lists it: the id that makes a group comes first."""

    ENTITIES = ("entity_id", "alarm_id", "id")
    ALARMS = ("alarm_id", "id")
    CHECKS = ("check_id", "id")


class Series(NamedTuple):
    """A series with items within the retention, and the key of the newest one."""

    id: int
    check: CheckPath
    newest: ItemKey


@dataclass(frozen=True)
class Group:
    """An entity, alarm or check, with those of its series that have history: without any it does not exist."""

    id: str
    looked_at: int
    """How many series were looked at."""
    series: list[Series]


@dataclass(frozen=True)
class RegisterPage(Generic[T]):
    """A page, and the id at which the next one begins, which need not exist; None if nothing follows."""

    values: list[T]
    next_marker: str | None


def list_groups(
    db: Database, level: Level, query: RegisterQuery, oldest_ms: int | None, are_whole: bool = True
) -> RegisterPage[Group]:
    """Return a page of groups that exist; see `groups_of`."""
    page: list[Group] = []
    looked_at = 0
    for group in groups_of(db, level, query, oldest_ms, are_whole):
        if looked_at >= MAX_SERIES_OF_PAGE or (group.series and len(page) == query.limit):
            return RegisterPage(page, group.id)
        looked_at += group.looked_at
        if group.series:
            page.append(group)
    return RegisterPage(page, None)


def groups_of(
    db: Database, level: Level, query: RegisterQuery, oldest_ms: int | None, are_whole: bool = True
) -> Iterator[Group]:
    """Yield all groups from the query's marker on, in its order, those that do not exist as well.

    The owner is a tenant for ENTITIES, else an entity. If not `are_whole`, a group may lack series, but not all. The
    first statement reads as many series as a page has groups, and one more.
    """
    listed = _series_of(db, level, query, oldest_ms, are_whole)
    for group_id, members in groupby(listed, key=lambda each: getattr(each[0], level.value[0])):
        series = [each for _, each in members]
        yield Group(group_id, len(series), [each for each in series if each is not None])


def _series_of(
    db: Database, level: Level, query: RegisterQuery, oldest_ms: int | None, are_whole: bool
) -> Iterator[tuple[CheckPath, Series | None]]:
    """Yield the checks of the groups, each with its series if that has history; see `groups_of`."""
    column, reverse = level.value[0], query.reverse
    text, values = _series_sql(type(db), level, reverse), vars(query.owner)
    after = _EDGES[reverse] if query.marker is None else {**_EDGES[reverse], column: query.marker}
    count, live = query.limit + 1, None
    while True:
        places = {f"after_{name}": after[name] for name in level.value}
        found = rows(db, text, **values, **places, count=count)
        newest = newest_keys(db, [series_id for series_id, *_ in found], low_ticks(oldest_ms))
        for series_id, *ids in found:
            check = CheckPath(query.owner.tenant, *ids)
            if series_id in newest:
                live = getattr(check, column)
                yield check, Series(series_id, check, newest[series_id])
            else:
                yield check, None
        if len(found) < count:
            return
        after = {**vars(check), "id": series_id}
        if not are_whole and live == after[column]:
            after = {**_EDGES[not reverse], column: live}  # the end of this group
        count = min(2 * count, _MOST_SERIES)


@cache
def _series_sql(dialect: type[Database], level: Level, reverse: bool) -> str:
    """Return the query for the series after a place in the order of a level."""
    of_entity = "" if level is Level.ENTITIES else f"AND {dialect.by_code_point('entity_id')} = :entity_id"
    columns = [name if name == "id" else dialect.by_code_point(name) for name in level.value]
    after = ", ".join(f":after_{name}" for name in level.value)
    order = ", ".join(f"{column} DESC" if reverse else column for column in columns)
    return f"""SELECT id, entity_id, alarm_id, check_id FROM series
    WHERE tenant_id = {TENANT_ID} {of_entity} AND ({", ".join(columns)}) {"<" if reverse else ">"} ({after})
    ORDER BY {order} LIMIT :count"""


def newest_items(db: Database, series: Iterable[Series]) -> Iterator[tuple[Series, Document]]:
    """Yield each series with its newest item; call it in the transaction that has found the series."""
    left = iter(series)
    while batch := list(islice(left, _DOCUMENTS_TOGETHER)):
        documents = find_documents(db, [_row_key(each) for each in batch])
        for each in batch:
            yield each, orjson.loads(documents[_row_key(each)])


def _row_key(series: Series) -> tuple[Any, ...]:
    return (series.id, *series.newest)
