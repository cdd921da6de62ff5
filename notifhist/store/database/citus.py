"""Citus: a PostgreSQL whose tables lie on several nodes. All that it needs otherwise; why: docs/adr/0032-citus.md.

The service connects to the coordinator. A statement is cheap there if one node has all that it asks for, and if Citus
knows that when it plans: by a number, not by a subquery.
"""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple, cast

import peewee

from notifhist.store.database.condition import Node
from notifhist.store.database.dialect import HAS_OLDER, Database
from notifhist.store.database.postgresql_text import named
from notifhist.store.database.sql import LOOKUPS, Row, remember, rows, rows_of_each
from notifhist.store.database.tables import Table

_IS_THERE = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')"

_SORTED = ("entity_id", "alarm_id", "check_id")
_OF_TENANTS = (
    *("series", "notification_run", "notification_run_count", "notification_log", "notification_log_count"),
    *("delivery", "delivery_recent", "delivery_name", "delivery_count", "series_newest"),
)
EVERYWHERE = None
PLACES: Mapping[str, str | None] = {
    "tenant": EVERYWHERE,
    **dict.fromkeys(_OF_TENANTS, "tenant_id"),
    "history_item": "series_id",
}
"""By which column the rows of a table are spread over the nodes. Tables of the same column lie alike.

EVERYWHERE: each node has all rows. Other tables stay on the coordinator: they are small, and nothing is joined to them.
"""

_BEFORE: Mapping[str, str] = {
    "series": "ALTER TABLE {name} " + ", ".join(f'ALTER {each} TYPE text COLLATE "C"' for each in _SORTED) + "; ",
    "delivery": "ALTER TABLE {name} REPLICA IDENTITY FULL; ",
}
"""What a table, and each of its partitions, needs before it is spread.

Citus drops a COLLATE from what it sends to a node, so the columns have it. A table without a key could not move to
another node in service.
"""

_REMEMBERED = 50_000
_NOBODY = 0
"""The number of no tenant and no series."""
_PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = (:name)::regclass"
_PLACED = "SELECT logicalrelid::regclass::text FROM pg_dist_partition"
_NODES = """SELECT node.nodename || ':' || node.nodeport AS name, count(shardid), coalesce(sum(shard_size), 0)
FROM pg_dist_node AS node LEFT JOIN citus_shards AS shard ON shard.nodename = node.nodename
    AND shard.nodeport = node.nodeport AND shard.citus_table_type = 'distributed'
WHERE node.shouldhaveshards AND node.noderole = 'primary' GROUP BY name ORDER BY name"""


def _unplaced(db: Database) -> list[str]:
    """Return the tables that lie on the coordinator alone, and should not."""
    placed = {name for (name,) in rows(db, _PLACED)}
    return [name for name in PLACES if name not in placed]


def _place(db: Database) -> list[str]:
    """Spread the tables that lie on the coordinator alone over the nodes, with their rows; return their names.

    Each is a transaction of its own, and nobody writes to the table meanwhile. Safe to repeat, and after interruptions.
    """
    placed = []
    for name in _unplaced(db):
        with db.migrating():
            if name in _unplaced(db):  # another host may have done it meanwhile
                parts = [part for (part,) in rows(db, _PARTITIONS, name=name)]
                before = "".join(_BEFORE.get(name, "").format(name=each) for each in (name, *parts))
                db.execute_sql(f"SET LOCAL client_min_messages = warning; {before}{placing(name)}")
                placed.append(name)
    return placed


def placing(name: str, like: str | None = None) -> str:
    """Return the statement that spreads a table; `like`: a table beside whose rows those of the table shall lie."""
    column = PLACES[like or name]
    if column is EVERYWHERE:
        return f"SELECT create_reference_table('{name}')"
    first = next(each for each, its_column in PLACES.items() if its_column == column)
    before = _BEFORE.get(like or "", "").format(name=name)
    beside = like or ("none" if first == name else first)
    return f"{before}SELECT create_distributed_table('{name}', '{column}', colocate_with => '{beside}')"


class MaybeCitus(peewee.PostgresqlDatabase):
    """A PostgreSQL that may be the coordinator of Citus, which the connection finds out."""

    is_citus = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._thread = _Thread()

    @property
    def remembered(self) -> dict[Any, Any]:
        return self._thread.remembered

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self.atomic(isolation_level="REPEATABLE READ"):
            self._thread.is_reading = True
            try:
                yield
            finally:
                self._thread.is_reading = False

    def look_for_citus(self, connection: Any) -> None:
        """Find out whether a connection leads to a coordinator."""
        ((self.is_citus,),) = connection.execute(_IS_THERE)

    @property
    def inserts_alone(self) -> bool:
        """Whether there are round trips to save; no statement of Citus inserts on two nodes."""
        return not self.is_citus

    @property
    def has_older(self) -> str:
        """See Database. Citus joins no items with series, but looks at all nodes at once."""
        return "SELECT 1 FROM history_item WHERE ticks < :before LIMIT 1" if self.is_citus else HAS_OLDER

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """Execute a statement; on Citus, with the numbers that its lookups find."""
        if self.is_citus:
            sql, found = _without_lookups(sql)
            if found:
                params = params | {f"lookup{n}": self._look_up(each, params) for n, each in enumerate(found)}
        return super().execute_sql(sql, params)  # type: ignore[no-untyped-call]

    def _look_up(self, lookup: "_Lookup", params: Mapping[str, Any]) -> int:
        remembered = self.remembered
        values = {name: params[name] for name in lookup.names}
        key = lookup.text, *values.values()
        if (number := remembered.get(key)) is not None:
            return int(number)
        if (row := self.execute_sql(lookup.text, values).fetchone()) is None:
            return _NOBODY
        # What a transaction has written, it might undo.
        if self._thread.is_reading or not self.in_transaction():
            remember(remembered, {key: row[0]}, _REMEMBERED)
        return int(row[0])

    def for_each(
        self, text: str, columns: Mapping[str, str], keys: Sequence[Sequence[Any]], **values: object
    ) -> list[Row]:
        """See Database. On Citus each key is a statement of its own, which one node answers; all are sent at once."""
        if not self.is_citus:
            return rows_of_each(cast("Database", self), text, columns, keys, **values)
        one = ", ".join(f"CAST(:{name} AS {kind}) AS {name}" for name, kind in columns.items())
        sql = named(text.format(param=f"(SELECT {one}) AS param"))
        return self._many(sql, [{**values, **dict(zip(columns, key, strict=True))} for key in keys])

    def _insert_each(self, table: Table, new: Sequence[Sequence[Any]]) -> set[Row]:
        """Insert rows one by one, all sent at once: those of a SELECT Citus would write to files on the way."""
        key = ", ".join(table.key)
        insert = f"{table.insert} VALUES ({', '.join(['%s'] * len(table.columns))})"
        return set(self._many(f"{insert} ON CONFLICT ({key}) DO NOTHING RETURNING {key}", new))

    def _many(self, sql: str, params: Sequence[Any]) -> list[Row]:
        found: list[Row] = []
        if params:
            with peewee.__exception_wrapper__:  # type: ignore[attr-defined]  # by peewee's stubs
                cursor = self.cursor()  # type: ignore[no-untyped-call]
                cursor.executemany(sql, params, returning=True)
                for each in _results(cursor):
                    found += each
        return found

    def place_tables(self) -> list[str]:
        return _place(cast("Database", self)) if self.is_citus else []

    def unplaced_tables(self) -> list[str]:
        return _unplaced(cast("Database", self)) if self.is_citus else []

    def nodes(self) -> list[Node]:
        found = self.execute_sql(_NODES).fetchall() if self.is_citus else []
        return [Node(name, shards, int(size)) for name, shards, size in found]

    def making_tables(self, tables: Mapping[str, str]) -> list[str]:
        """Return the statements that spread tables that were made, each like another one, in their transaction.

        Limits of the transaction hold on all nodes then; those of PostgreSQL alone are none.
        """
        if not self.is_citus:
            return []
        return [
            "SET LOCAL citus.propagate_set_commands = 'local'",
            "SET LOCAL citus.multi_shard_modify_mode = 'sequential'",
            *(placing(table, like) for table, like in tables.items()),
        ]


class _Thread(threading.local):
    """What a thread does, and what it remembers of the connection that it has."""

    is_reading = False
    """Whether it is in a transaction that reads alone."""
    remembered: dict[Any, Any]
    used_at = 0.0
    """When it last looked at its connection, by the monotonic clock."""


class _Lookup(NamedTuple):
    """The query of a lookup, and the names of its parameters."""

    text: str
    names: tuple[str, ...]


@lru_cache(maxsize=2048)
def _without_lookups(sql: str) -> tuple[str, tuple[_Lookup, ...]]:
    """Return a statement whose lookups are parameters `lookup0` and so on, and these lookups."""
    found: list[_Lookup] = []
    for subquery in sorted(map(named, LOOKUPS), key=len, reverse=True):  # one may have another inside
        if subquery in sql:
            sql = sql.replace(subquery, f"%(lookup{len(found)})s")
            found.append(_Lookup(subquery[1:-1], tuple(dict.fromkeys(re.findall(r"%\((\w+)\)s", subquery)))))
    return sql, tuple(found)


def _results(cursor: Any) -> Iterator[list[Row]]:
    yield cursor.fetchall()
    while cursor.nextset():
        yield cursor.fetchall()
