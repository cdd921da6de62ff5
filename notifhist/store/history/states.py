"""The latest states: the newest item of each check, and its newest change (docs/contract.md, "Latest alarm states")."""

from itertools import groupby
from typing import NamedTuple

import orjson

from notifhist.errors import AnswerTooLong
from notifhist.schemas.document import Document
from notifhist.schemas.history import is_change
from notifhist.schemas.item_ids import ItemKey, id_of, key_in_tenant
from notifhist.schemas.query import RegisterQuery
from notifhist.schemas.states import state_of, states_of
from notifhist.serializers.stored import MAX_PAGE_BYTES
from notifhist.store.database import Database
from notifhist.store.database.sql import rows
from notifhist.store.history.listing import Level, RegisterPage, Series, list_groups, newest_items
from notifhist.store.time_ranges import low_ticks

MAX_ITEMS_OF_CHECK = 1000
"""How many items of a check are looked at, from the newest one back, for its newest change."""
MAX_ITEMS_OF_PAGE = 10_000
"""A page ends after the entity for whose changes it has asked for so many items behind the newest ones."""
_FIRST_ITEMS, _MOST_ITEMS = 10, 100
"""How many items the first statement asks for, and how many any does: each asks for twice as many as the last."""

_EARLIER = """SELECT ticks, clock_and_node, {document} FROM history_item
WHERE series_id = :series_id AND ticks >= :low AND ticks <= :ticks
    AND (ticks, clock_and_node) < (:ticks, :clock_and_node)
ORDER BY ticks DESC, clock_and_node DESC LIMIT :count"""


class Change(NamedTuple):
    """The newest change of a check that was found, and how many items were asked for to find it."""

    key: ItemKey | None
    items: int


def list_states(db: Database, query: RegisterQuery, oldest_ms: int | None) -> RegisterPage[Document]:
    """Return a page of entities, each with the latest states of its checks, by alarm and check.

    Its cost grows with the number of checks on the page, and with the items between their newest ones and their newest
    changes. Raises AnswerTooLong if the states of one entity are longer than a page may be: a text may have 10 MB.
    """
    entities: list[Document] = []
    size = items = 0
    with db.reading():
        page = list_groups(db, Level.ENTITIES, query, oldest_ms)
        series = [each for group in page.values for each in sorted(group.series, key=_place)]
        for entity_id, newest in groupby(newest_items(db, series), key=lambda each: each[0].check.entity_id):
            if size > MAX_PAGE_BYTES or items > MAX_ITEMS_OF_PAGE:
                return RegisterPage(entities, entity_id)
            states: list[Document] = []
            before = size
            for each, item in newest:
                change = newest_change(db, each, item, oldest_ms)
                changelog_id = change.key and id_of(key_in_tenant(each.check, id_of(change.key)))
                states.append(state_of(each.check, item, changelog_id))
                items += change.items
                size += sum(len(value) for value in states[-1].values() if isinstance(value, str))
                if size - before > MAX_PAGE_BYTES and len(states) > 1:
                    raise AnswerTooLong(MAX_PAGE_BYTES)
            entities.append(states_of(entity_id, states))
    return RegisterPage(entities, page.next_marker)


def newest_change(db: Database, series: Series, newest: Document, oldest_ms: int | None) -> Change:
    """Return the newest change of a series whose newest item is `newest`, of the last MAX_ITEMS_OF_CHECK items."""
    key, count, items = series.newest, _FIRST_ITEMS, 0
    text, low = _EARLIER.format(document=db.text_of("document")), low_ticks(oldest_ms)
    if is_change(newest):
        return Change(key, 0)
    while items < MAX_ITEMS_OF_CHECK:
        found = rows(db, text, series_id=series.id, low=low, **key._asdict(), count=count)
        items += count
        for ticks, clock_and_node, document in found:
            key = ItemKey(ticks, clock_and_node)
            if is_change(orjson.loads(document)):
                return Change(key, items)
        if len(found) < count:
            break
        count = min(2 * count, _MOST_ITEMS, MAX_ITEMS_OF_CHECK - items)
    return Change(None, items)


def _place(series: Series) -> tuple[str, str]:
    return series.check.alarm_id, series.check.check_id
