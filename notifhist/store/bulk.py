"""Many records at once, as rows that are ready to be stored: which of them are there, and storing the others.

What is there is never changed. Contract: docs/contract.md, "Loading".
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import orjson
import peewee

from notifhist.schemas.item_ids import ItemKey, id_of
from notifhist.schemas.query import CheckPath
from notifhist.store import partitions
from notifhist.store.database import INSERT_ITEMS, ITEM_COLUMNS, UNLESS_THERE, Database, SqliteDatabase
from notifhist.store.equality import same_json, same_texts
from notifhist.store.history.series import check_values, ensure_series
from notifhist.store.runs import recording as runs
from notifhist.store.tenants import ensure_tenant, find_tenant

_ItemKey = tuple[int, int, int]
"""The number of the series, and the two halves of the `item_ids.ItemKey`."""
_INSERT_COPIED = (
    f"{INSERT_ITEMS} SELECT * FROM loaded_item "  # noqa: S608 - our own names
    f"{UNLESS_THERE} RETURNING series_id, ticks, rest"
)


class ItemRow(NamedTuple):
    """An item with its check and the line of its file in which it begins."""

    line: int
    check: CheckPath
    ticks: int
    rest: int
    document: str
    xml: str | None
    xml_version: int

    @property
    def name(self) -> str:
        """The item's id."""
        return id_of(ItemKey(self.ticks, self.rest))

    def is_same(self, known: str) -> bool:
        """Say whether it has the content of a `known` document of its id."""
        return same_texts(known, self.document)


class RunRow(NamedTuple):
    """A run with its tenant and line.

    `filled`: the members, separated by blanks, that it did not have itself. A run that is there has them from
    when it was recorded, so they make no difference.
    """

    line: int
    tenant: str
    filled: str
    values: runs.Row

    @property
    def id(self) -> int:
        """The run's id."""
        return int(self.values[0])

    @property
    def name(self) -> str:
        """The run's id, as text."""
        return str(self.id)

    @property
    def document(self) -> str:
        """The run as JSON text."""
        return str(self.values[-1])

    def is_same(self, known: str) -> bool:
        """Say whether it has the content of a `known` document of its id."""
        if known == self.document:
            return True
        there, given = orjson.loads(known), orjson.loads(self.document)
        return same_json(there, given | {name: there[name] for name in self.filled.split()})


Row = ItemRow | RunRow


class Stored(NamedTuple):
    """How many rows were not there before, and those that are there with other content."""

    created: int
    conflicts: Sequence[Row]


def find_item_conflicts(db: Database, rows: Sequence[ItemRow]) -> list[bool]:
    """Return of each item whether it is there with other content."""
    series = _find_series(db, {row.check for row in rows})
    keys = [(series[row.check], row.ticks, row.rest) if row.check in series else None for row in rows]
    known = _find_items(db, {key for key in keys if key is not None})
    return [key in known and not row.is_same(known[key]) for key, row in zip(keys, rows, strict=True)]


def find_run_conflicts(db: Database, rows: Sequence[RunRow]) -> list[bool]:
    """Return of each run whether it is there with other content."""
    known: dict[tuple[str, int], str] = {}
    for tenant in {row.tenant for row in rows}:
        if (tenant_id := find_tenant(db, tenant)) is not None:
            found = _find_runs(db, tenant_id, [row.id for row in rows if row.tenant == tenant])
            known |= {(tenant, run_id): document for run_id, document in found.items()}
    return [(row.tenant, row.id) in known and not row.is_same(known[row.tenant, row.id]) for row in rows]


def store_items(db: Database, rows: Sequence[ItemRow], now_ticks: int) -> Stored:
    """Store those items that are not there, durably and in one transaction."""
    partitions.prepare(db, [row.ticks for row in rows], now_ticks, None)
    series = _ensure_all_series(db, {row.check for row in rows})
    first: dict[_ItemKey, ItemRow] = {}
    for row in rows:
        first.setdefault((series[row.check], row.ticks, row.rest), row)
    # In the order of their keys: they are written side by side, and two who store the same items wait for
    # each other, never both.
    with db.writing():
        known = _insert_or_find(db, [(*key, *first[key][4:]) for key in sorted(first)])
    there = {key: row.document for key, row in first.items()} | known
    conflicts = [row for row in rows if not row.is_same(there[series[row.check], row.ticks, row.rest])]
    return Stored(len(first) - len(known), conflicts)


def store_runs(db: Database, tenant: str, rows: Sequence[RunRow]) -> Stored:
    """Store those runs of a tenant that are not there, durably and in one transaction."""
    with db.writing():
        db.lock_name(tenant)  # so that no number is given twice, and no count is added up twice
        tenant_id = ensure_tenant(db, tenant)
        known = _find_runs(db, tenant_id, [row.id for row in rows])
        new: dict[int, RunRow] = {}
        for row in rows:
            if row.id not in known:
                new.setdefault(row.id, row)
        runs.insert_rows(db, tenant_id, [row.values for row in new.values()])
    known |= {run_id: row.document for run_id, row in new.items()}
    return Stored(len(new), [row for row in rows if not row.is_same(known[row.id])])


def _ensure_all_series(db: Database, checks: Collection[CheckPath]) -> dict[CheckPath, int]:
    """Return the number of each check's series; those that are not there are created.

    In transactions of their own, one for each tenant: nobody who locks tenants in another order is waited for.
    """
    series = _find_series(db, checks)
    missing = sorted((check for check in checks if check not in series), key=lambda check: check.tenant)
    for _, some in groupby(missing, key=attrgetter("tenant")):
        with db.writing():
            series |= {check: ensure_series(db, check) for check in some}
    return series


def _find_series(db: Database, checks: Collection[CheckPath]) -> dict[CheckPath, int]:
    """Return the number of each check's series that is there."""
    numbered = list(checks)
    values = [(n, *check_values(check).values()) for n, check in enumerate(numbered)]
    rows = _join(
        db,
        "SELECT k0, id FROM {given} JOIN series ON alarm_digest = k1 AND check_id = k2",
        ("bigint", "text", "text"),
        values,
    )
    return {numbered[n]: series_id for n, series_id in rows}


def _find_items(db: Database, keys: Collection[_ItemKey]) -> dict[_ItemKey, str]:
    """Return the documents of the items that are there, by key."""
    rows = _join(
        db,
        "SELECT series_id, ticks, rest, document FROM {given} "
        "JOIN history_item ON series_id = k0 AND ticks = k1 AND rest = k2",
        ("bigint", "bigint", "bigint"),
        list(keys),
    )
    return {(series_id, ticks, rest): document for series_id, ticks, rest, document in rows}


def _find_runs(db: Database, tenant_id: int, run_ids: Iterable[int]) -> dict[int, str]:
    """Return the documents of a tenant's runs that are there, by id."""
    rows = _join(
        db,
        "SELECT id, document FROM {given} JOIN notification_run ON tenant_id = k0 AND id = k1",
        ("bigint", "bigint"),
        [(tenant_id, run_id) for run_id in run_ids],
    )
    return dict(rows)


def _join(db: Database, query: str, types: Sequence[str], given: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the rows of a query in which `{given}` is a table of given values, of the columns k0, k1 and so on.

    One parameter or a few, however many rows are given, so that the database's driver keeps it prepared.
    """
    if not given:
        return []
    parameters: list[Any]
    if isinstance(db, SqliteDatabase):
        columns = ", ".join(f"json_extract(value, '$[{n}]') AS k{n}" for n in range(len(types)))
        table = f"(SELECT {columns} FROM json_each(?))"  # noqa: S608 - our own names, as below
        parameters = [orjson.dumps(given).decode()]
    else:
        names = ", ".join(f"k{n}" for n in range(len(types)))
        table = f"unnest({', '.join(f'%s::{kind}[]' for kind in types)}) AS given ({names})"
        parameters = [list(column) for column in zip(*given, strict=True)]
    rows: list[Any] = db.execute_sql(query.format(given=table), parameters).fetchall()
    return rows


def _insert_or_find(db: Database, rows: Sequence[tuple[Any, ...]]) -> dict[_ItemKey, str]:
    """Insert those of the items that are not there; return the documents of those that are, by key.

    A row has the columns ITEM_COLUMNS.
    """
    if isinstance(db, SqliteDatabase):
        known = _find_items(db, [row[:3] for row in rows])  # nobody else writes before this transaction ends
        missing = [row for row in rows if row[:3] not in known]
        db.execute_many(f"{INSERT_ITEMS} VALUES ({', '.join('?' * len(ITEM_COLUMNS))})", missing)
        return known
    _copy_items(db, rows)
    known, missing_keys = {}, {row[:3] for row in rows}
    while missing_keys:
        inserted = db.execute_sql(_INSERT_COPIED).fetchall()  # type: ignore[no-untyped-call]
        missing_keys -= set(inserted)
        known |= _find_items(db, missing_keys)
        missing_keys -= known.keys()  # what is left has been deleted in between
    return known


def _copy_items(db: Database, rows: Iterable[tuple[Any, ...]]) -> None:
    """Copy items into a table that ends with the transaction: COPY itself knows no conflict."""
    with peewee.__exception_wrapper__:  # type: ignore[attr-defined]  # by peewee's stubs
        cursor = db.cursor()  # type: ignore[no-untyped-call]
        cursor.execute("CREATE TEMPORARY TABLE loaded_item (LIKE history_item) ON COMMIT DROP")
        with cursor.copy("COPY loaded_item FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(list(ITEM_COLUMNS.values()))
            for row in rows:
                copy.write_row(row)
