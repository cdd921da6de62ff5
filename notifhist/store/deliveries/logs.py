"""The logs of items: changes of alarms' states, and suppressed notifications.

Contract: docs/contract.md, "Changelogs" and "Suppression logs". An item's logs are read from its first delivery, which
has nearly all of their members, since an item may have 16 MiB.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import orjson

from notifhist.errors import AnswerTooLong
from notifhist.schemas.changelogs import ALARM_CHANGELOG, SUPPRESSION_LOG
from notifhist.schemas.document import Document, DocumentSchema, member_fields
from notifhist.schemas.item_ids import ItemKey, id_of
from notifhist.schemas.query import ItemLogsQuery
from notifhist.serializers.stored import MAX_PAGE_BYTES, StoredForm, StoredPage
from notifhist.store.database import Database
from notifhist.store.database.sql import rows, rows_of_each
from notifhist.store.deliveries.names import find_codes, names_of
from notifhist.store.deliveries.recording import known_tenant
from notifhist.store.deliveries.selection import MAIN, RECENT
from notifhist.store.deliveries.table import NAMED
from notifhist.store.time_ranges import SeriesPage, key_range, low_ticks

_NO_STATE = "UNKNOWN"
"""The previous state of an item that has none, and no item before it."""
_SHORT_CHARACTERS = 16 * 1024
"""Longer documents are read one by one: a status, which a delivery may have twice, has up to 10 MB."""
_STATE_FILTER = next(each for each in NAMED if each.column == "state")

_PARAM = {"n": "bigint", "series_id": "bigint", "ticks": "bigint", "clock_and_node": "bigint"}
_ITEM_BEFORE = """FROM history_item AS item WHERE item.series_id = param.series_id
    AND item.ticks >= :low_ticks AND item.ticks <= param.ticks
    AND (item.ticks, item.clock_and_node) < (param.ticks, param.clock_and_node)
    ORDER BY item.ticks DESC, item.clock_and_node DESC LIMIT 1"""
_ITEMS_BEFORE = f"""SELECT n, series_id, (SELECT item.ticks {_ITEM_BEFORE}), (SELECT item.clock_and_node {_ITEM_BEFORE})
    FROM {{param}}"""
_STATE = """(SELECT state FROM {table} AS delivery WHERE delivery.tenant_id = :tenant_id
    AND delivery.series_id = param.series_id AND delivery.ticks = param.ticks
    AND delivery.item_clock_and_node = param.clock_and_node LIMIT 1)"""
_STATES = f"SELECT n, coalesce({_STATE.format(table=RECENT)}, {_STATE.format(table=MAIN)}) FROM {{param}}"


class _Log(NamedTuple):
    """A log: its own key, and the place of its item. The texts are those of the item's first delivery, if short."""

    ticks: int
    log_clock_and_node: int
    series_id: int
    item_clock_and_node: int
    document: str | None
    log_members: str | None


def list_changes(db: Database, query: ItemLogsQuery, oldest_ms: int | None) -> SeriesPage:
    """Return one page of a tenant's changelogs, oldest first unless `query.reverse`.

    `oldest_ms`: the time before which everything has expired, ms since the epoch; None if nothing ever does. The cost
    does not grow with the history, nor with the items' length. Raises AnswerTooLong.
    """
    return _list(db, query, oldest_ms, "is_change", ALARM_CHANGELOG)


def list_suppressions(db: Database, query: ItemLogsQuery, oldest_ms: int | None) -> SeriesPage:
    """Return one page of a tenant's suppression logs, as `list_changes` does."""
    return _list(db, query, oldest_ms, "is_suppressed", SUPPRESSION_LOG)


def _list(db: Database, query: ItemLogsQuery, oldest_ms: int | None, flag: str, schema: DocumentSchema) -> SeriesPage:
    with db.reading():
        tenant_id = known_tenant(db, query.tenant)
        found = [] if tenant_id is None else _find(db, tenant_id, query, oldest_ms, flag)
        shown = found[: query.limit]
        documents = _documents(db, tenant_id or 0, shown, flag, schema)
        if "previous_state" in member_fields(schema):
            _add_previous_states(db, tenant_id or 0, shown, documents, oldest_ms)
    next_marker = _id_of(found[query.limit]) if len(found) > query.limit else None
    pieces = [b",".join(map(orjson.dumps, documents))] if documents else []
    return SeriesPage(StoredPage(StoredForm.JSON, pieces), len(shown), next_marker)


def _find(db: Database, tenant_id: int, query: ItemLogsQuery, oldest_ms: int | None, flag: str) -> list[_Log]:
    """Return the logs of a page, and the one after it."""
    low, high = key_range(query, oldest_ms)
    values: dict[str, Any] = {}
    if query.entity_id is not None:
        name = ("entity_id", query.entity_id)
        if (code := find_codes(db, tenant_id, [name]).get(name)) is None:
            return []
        values["entity_id"] = code
    found = rows(
        db,
        _find_sql(type(db), flag, "entity_id" in values, query.reverse),
        tenant_id=tenant_id,
        low_ticks=low.ticks,
        low_clock_and_node=low.clock_and_node,
        high_ticks=high.ticks,
        high_clock_and_node=high.clock_and_node,
        limit=query.limit + 1,
        **values,
    )
    return [_Log(*each) for each in found]


@cache
def _find_sql(dialect: type[Database], flag: str, of_entity: bool, reverse: bool) -> str:
    """Return the query for a page's logs: a range of an index that has these logs alone, and the recent ones."""
    # PostgreSQL knows by `ticks` alone which partitions to look into; SQLite would choose its index by that.
    ticks = dialect.unindexed("ticks")
    order = "ticks DESC, log_clock_and_node DESC" if reverse else "ticks, log_clock_and_node"
    is_short = f"length(document) + length(coalesce(log_members, '')) <= {_SHORT_CHARACTERS}"
    texts = ", ".join(f"CASE WHEN {is_short} THEN {name} END AS {name}" for name in ("document", "log_members"))
    both = " UNION ALL ".join(
        f"""SELECT * FROM (SELECT ticks, log_clock_and_node, series_id, item_clock_and_node, {texts} FROM {table}
            WHERE tenant_id = :tenant_id AND {flag} = 1{" AND entity_id = :entity_id" if of_entity else ""}
            AND {ticks} >= :low_ticks AND {ticks} <= :high_ticks
            AND (ticks, log_clock_and_node) >= (:low_ticks, :low_clock_and_node)
            AND (ticks, log_clock_and_node) <= (:high_ticks, :high_clock_and_node)
            ORDER BY {order} LIMIT :limit) AS of_{table}"""
        for table in (MAIN, RECENT)
    )
    return f"SELECT * FROM ({both}) AS page ORDER BY {order} LIMIT :limit"


def _documents(db: Database, tenant_id: int, logs: Sequence[_Log], flag: str, schema: DocumentSchema) -> list[Document]:
    """Return the documents of logs; one has null where a required member is not known. Raises AnswerTooLong."""
    members = {name: field.required for name, field in member_fields(schema).items()}
    documents = []
    size = 0
    for log in logs:
        document, log_members = (
            (log.document, log.log_members) if log.document else _long_texts(db, tenant_id, log, flag)
        )
        known = {**orjson.loads(document), **orjson.loads(log_members or "{}"), "id": _id_of(log)}
        documents.append(
            {name: known.get(name) for name, is_required in members.items() if is_required or name in known}
        )
        size += len(orjson.dumps(documents[-1]))
        if size > MAX_PAGE_BYTES and len(documents) > 1:
            raise AnswerTooLong(MAX_PAGE_BYTES)
    return documents


def _long_texts(db: Database, tenant_id: int, log: _Log, flag: str) -> tuple[str, str | None]:
    """Return the document and the other members of a log whose texts are long."""
    both = " UNION ALL ".join(
        f"""SELECT document, log_members FROM {table} WHERE tenant_id = :tenant_id AND {flag} = 1
        AND ticks = :ticks AND log_clock_and_node = :log_clock_and_node"""
        for table in (MAIN, RECENT)
    )
    found = rows(db, both, tenant_id=tenant_id, ticks=log.ticks, log_clock_and_node=log.log_clock_and_node)
    return found[0][0], found[0][1]


def _add_previous_states(
    db: Database, tenant_id: int, logs: Sequence[_Log], documents: Sequence[Document], oldest_ms: int | None
) -> None:
    """Give each changelog whose item has no previous state that of the item before it, as far as nothing has expired.

    It is looked up whenever it is read, because that item may be recorded later, be replaced or be deleted.
    """
    missing = [
        (n, log.series_id, log.ticks, log.item_clock_and_node)
        for n, (log, document) in enumerate(zip(logs, documents, strict=True))
        if document["previous_state"] is None
    ]
    if not missing:
        return
    before = db.for_each(_ITEMS_BEFORE, _PARAM, missing, low_ticks=low_ticks(oldest_ms))
    known = [each for each in before if each[2] is not None]
    codes: dict[int, int | None] = dict(rows_of_each(db, _STATES, _PARAM, known, tenant_id=tenant_id))
    names = names_of(db, tenant_id, _STATE_FILTER, {code for code in codes.values() if code is not None})
    for n, *_ in missing:
        documents[n]["previous_state"] = names.get(codes.get(n) or 0, _NO_STATE)


def _id_of(log: _Log) -> str:
    return id_of(ItemKey(log.ticks, log.log_clock_and_node))
