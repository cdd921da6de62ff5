"""PostgreSQL, through psycopg 3."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import orjson
import peewee

from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.store.database import postgresql_purge
from notifhist.store.database.citus import MaybeCitus
from notifhist.store.database.condition import Condition
from notifhist.store.database.dialect import PurgeDerived, Report
from notifhist.store.database.errors import BackupFailed
from notifhist.store.database.partitions import Partitions
from notifhist.store.database.portions import first_portion, portions_of
from notifhist.store.database.postgresql_text import PostgresqlText, named
from notifhist.store.database.server_time import ServerTime
from notifhist.store.database.tables import Table, or_add

_LOCK_SPACE = 0x6E6F7469  # any number, as long as all hosts take the same
_TRUSTED_IDLE_S = 1.0
_CANCELLED_WITHIN_S = 1.0
"""How much later than by the server's own limit a statement is given up, if that limit did not end it."""
# A transaction that has written to the log waits at its commit for whoever must have all of the log before that.
_CONFIRM = (
    "SELECT pg_logical_emit_message(true, 'notifhist', '') WHERE current_setting('synchronous_standby_names') <> ''"
)
_LONGEST_TEXT = 2**31 - 1  # bytes, more than PostgreSQL stores
_COPY_FROM_ROWS = 500
"""From this many rows on, COPY is cheaper than one JSON text of them all, or as cheap and no such long text."""
_VACUUM_S, _PAUSE_S = 0.02, 60.0
"""After a vacuum of more than the first, also one that failed, there is none for the second."""
_IS_OWNER = "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = CAST(%s AS regclass)"
"""Whether this user may vacuum a table: the server would log each refusal."""
_NOW_TICKS = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 10000000 AS bigint)"
_CONDITION = """SELECT current_setting('fsync') = 'on' AND current_setting('synchronous_commit') <> 'off',
    CAST(1000 * extract(epoch FROM clock_timestamp()) AS double precision),
    CAST(current_setting('server_version_num') AS integer) / 10000,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
    CAST(current_setting('max_connections') AS integer)
        - CAST(current_setting('superuser_reserved_connections') AS integer),
    pg_is_in_recovery()"""


class PostgresqlDatabase(PostgresqlText, MaybeCitus):
    """PostgreSQL, through psycopg 3."""

    pieces_of = 250  # psycopg holds each text three times
    has_replicas = True
    runs_in_process = False
    sorts_groups = False

    def __init__(
        self, url: str, *, create: bool = False, statement_timeout_s: float = 0, tells_time: bool = True
    ) -> None:
        """`create` has no effect: the database exists on the server."""
        from notifhist.store.database.postgresql_connection import Connector

        self._timeout_s, self._url = statement_timeout_s, url
        longest_wait_s = statement_timeout_s + _CANCELLED_WITHIN_S if statement_timeout_s else math.inf
        self.connector = Connector(url.replace("postgres://", "postgresql://", 1), longest_wait_s)
        super().__init__("notifhist", prefer_psycopg3=True, autoconnect=False)  # its connections are the connector's
        # peewee lets one thread at a time connect: all would wait for a server that is silent, one after the other.
        self._lock = nullcontext()
        self._time = ServerTime() if tells_time else None
        self.partitions = Partitions(self)

    def _connect(self) -> Any:
        connection = self.connector.connect()
        self._thread.remembered = {}
        if self._timeout_s:
            connection.execute(f"SET statement_timeout = {round(self._timeout_s * 1000)}")
        if self._time is not None:
            self._time.look(lambda: _now_ticks(connection))
        self.look_for_citus(connection)
        return connection

    def ahead_ticks(self) -> int:
        return 0 if self._time is None else self._time.ahead_ticks

    def is_current(self) -> bool:
        """Say whether this thread's connection still works; one that was used in the last second is trusted."""
        last, self._thread.used_at = self._thread.used_at, time.monotonic()
        is_trusted = self._thread.used_at - last < _TRUSTED_IDLE_S
        due = self._time if self._time is not None and self._time.is_due() else None
        if is_trusted and due is None:
            return self.is_connection_usable()
        try:
            with peewee.__exception_wrapper__:  # type: ignore[attr-defined]  # by peewee's stubs, as below
                connection = self.connection()  # type: ignore[no-untyped-call]
                self.connector.check(connection)
                if due is not None:
                    due.look(lambda: _now_ticks(connection))
        except peewee.PeeweeException:
            return False
        return True

    def named(self, text: str) -> str:
        return named(text)

    def execute_many(self, text: str, rows: Sequence[Mapping[str, object]]) -> None:
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]  # by peewee's stubs
            self.cursor().executemany(named(text), rows)  # type: ignore[no-untyped-call]

    def writing(self) -> Any:
        return self.atomic()

    def rollback(self) -> None:
        """Undo the transaction. It never fails: peewee calls it amid an error, and a second one would hide that."""
        try:
            super().rollback()
        except peewee.PeeweeException:
            with suppress(peewee.PeeweeException):
                self.close()

    def locked(self, select: str) -> str:
        return f"{select} FOR UPDATE"

    def confirm_stored(self) -> None:
        self.execute_sql(_CONFIRM)

    def lock_name(self, name: str) -> None:
        self._take_lock("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", _LOCK_SPACE, name)

    def give_back_deleted(self, table: str) -> None:
        """Vacuum a table, unless somebody does it now; for a minute not again after one that took long.

        Each scan of an index reads what was deleted, until a vacuum: after 9000 items, 2000 pages for 115 rows. The
        server's own comes once a minute at most. It takes long while an old transaction needs what was deleted. Citus
        would vacuum the shards of all tenants.
        """
        key, started = ("vacuum after", table), time.monotonic()
        if self.is_citus or started < self.remembered.get(key, 0.0):
            return
        with suppress(peewee.PeeweeException):
            if self.execute_sql(_IS_OWNER, (table,)).fetchone()[0]:
                self.execute_sql(f"VACUUM (SKIP_LOCKED, TRUNCATE FALSE) {table}")
        if time.monotonic() - started > _VACUUM_S:  # also if the limit of a statement's time has ended it
            self.remembered[key] = started + _PAUSE_S

    def pausing_after(self) -> AbstractContextManager[None]:
        """Do not pause: writers wait only for those of the same rows."""
        return nullcontext()

    @contextmanager
    def migrating(self) -> Iterator[None]:
        with self.atomic():
            self._take_lock("SELECT pg_advisory_xact_lock(%s)", _LOCK_SPACE)
            yield

    def _take_lock(self, sql: str, *parameters: object) -> None:
        self.execute_sql(sql, parameters)

    def first_within(self, max_bytes: int | None, limit: int, text: str, values: Mapping[str, object]) -> Any:
        share = _LONGEST_TEXT if max_bytes is None else max_bytes // limit
        bounds = {"limit": limit, "share": share}
        return self.execute_sql(named(text), {**values, **bounds}).fetchone()

    def param_table(self, columns: Mapping[str, str]) -> str:
        """Return the table of `:param`, a JSON array of objects: psycopg writes arrays more slowly than that."""
        typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        return f"json_to_recordset(:param ::json) AS param ({typed})"

    def param_value(self, columns: Iterable[str], rows: Iterable[Sequence[Any]]) -> str:
        return orjson.dumps([dict(zip(columns, row, strict=True)) for row in rows]).decode()

    def insert_missing(self, table: Table, rows: Sequence[Sequence[Any]]) -> set[tuple[Any, ...]]:
        """Insert rows by one statement, which returns the keys; many rows go through a temporary table."""
        if self.is_citus and len(rows) < _COPY_FROM_ROWS:
            return self._insert_each(table, rows)
        key = ", ".join(table.key)
        unless_there = f"ON CONFLICT ({key}) DO NOTHING RETURNING {key}"
        if len(rows) < _COPY_FROM_ROWS:
            insert = f"{table.insert} SELECT * FROM {self.param_table(table.columns)} {unless_there}"
            values = {"param": self.param_value(table.columns, rows)}
            return set(self.execute_sql(named(insert), values).fetchall())
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]  # by peewee's stubs
            cursor = self.cursor()  # type: ignore[no-untyped-call]
            copied = f"copied_{table.name}"
            create = f"CREATE TEMPORARY TABLE IF NOT EXISTS {copied} (LIKE {table.name}) ON COMMIT DROP"
            cursor.execute(f"{create}; TRUNCATE {copied}")
            with cursor.copy(f"COPY {copied} FROM STDIN (FORMAT BINARY)") as copy:  # COPY itself cannot skip conflicts
                copy.set_types(list(table.columns.values()))
                for row in rows:
                    copy.write_row(row)
            cursor.execute(f"{table.insert} SELECT * FROM {copied} {unless_there}")
            return set(cursor.fetchall())

    def insert_or_add(self, table: Table, rows: Iterable[Sequence[Any]], columns: Sequence[str] = ()) -> None:
        brought = {name: kind for name, kind in table.columns.items() if name in (columns or table.columns)}
        selected = ", ".join(name if name in brought else "0" for name in table.columns)
        insert = f"{table.insert} SELECT {selected} FROM {self.param_table(brought)} {or_add(table, brought)}"
        self.execute_sql(named(insert), {"param": self.param_value(brought, rows)})

    def insert_searchable(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert records; PostgreSQL maintains the index itself. Each statement has a time limit of its own."""
        for portion in portions_of(columns, rows):
            self._insert(table, columns, portion)

    def _insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if len(rows) >= _COPY_FROM_ROWS:
            with (
                peewee.__exception_wrapper__,  # type: ignore[attr-defined]  # by peewee's stubs
                self.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy,  # type: ignore[no-untyped-call]
            ):
                for row in rows:
                    copy.write_row(row)
            return
        names = ", ".join(columns)
        records = f"json_populate_recordset(NULL::{table}, :param ::json)"
        insert = named(f"INSERT INTO {table} ({names}) SELECT {names} FROM {records}")
        self.execute_sql(insert, {"param": self.param_value(columns, rows)})

    def move_searchable(
        self, source: Table, table: str, tenant_id: int, returned: Sequence[str], characters: int
    ) -> list[tuple[Any, ...]]:
        """Move them by one statement: their texts stay in the server."""
        names, first = ", ".join(source.columns), first_portion(source, characters)
        move = f"""WITH taken AS (DELETE FROM {source.name} WHERE {first} RETURNING {names}),
            moved AS (INSERT INTO {table} ({names}) SELECT {names} FROM taken)
            SELECT {", ".join(returned)} FROM taken"""
        found: list[tuple[Any, ...]] = self.execute_sql(named(move), {"tenant_id": tenant_id}).fetchall()
        return found

    def update_searchable(self, table: str, row: Mapping[str, object]) -> None:
        changes = ", ".join(f"{name} = :{name}" for name in row if name not in ("tenant_id", "id"))
        update = f"UPDATE {table} SET {changes} WHERE tenant_id = :tenant_id AND id = :id"
        self.execute_sql(named(update), row)

    def delete_searchable(self, table: str, condition: str, values: Mapping[str, object]) -> None:
        self.execute_sql(named(f"DELETE FROM {table} WHERE {condition}"), values)

    def count_likely(self, table: str, trigrams: str, tenant_id: int) -> int | None:
        """Return None: to count them is to find them."""
        return None

    def count_found(self, table: str, text: str, tenant_id: int) -> int | None:
        """Return None: the index knows only which records are likely."""
        return None

    def ensure_partitions(self, ticks: Iterable[int], now_ticks: int, oldest_ms: int | None) -> None:
        self.partitions.ensure(ticks, now_ticks, oldest_ms)

    def count_expired(self, oldest_ms: int) -> int:
        return postgresql_purge.count_expired(self, self.partitions, oldest_ms * TICKS_PER_MS)

    def purge(self, oldest_ms: int, batch: int, purge_derived: PurgeDerived) -> Iterator[int]:
        return postgresql_purge.purge(self, self.partitions, oldest_ms, batch, purge_derived)

    def may_be_written(self) -> bool:
        return True

    def condition(self) -> Condition:
        names = ("syncs_commits", "clock_ms", "version", "connections", "max_connections", "is_replica")
        found = self.execute_sql(_CONDITION).fetchone()
        return Condition(**dict(zip(names, found, strict=True)))

    def damage(self) -> list[str]:
        return []

    def backup_command(self, path: Path) -> list[str]:
        """Return the command; no password is in it."""
        from psycopg.conninfo import conninfo_to_dict, make_conninfo

        given = conninfo_to_dict(self._url)
        address = make_conninfo(**{name: str(value) for name, value in given.items() if "password" not in name})
        return ["pg_dump", "--format=custom", f"--file={path}", f"--dbname={address}"]

    def back_up(self, path: Path, report: Report) -> None:
        raise BackupFailed("PostgreSQL's own program makes backups")


def _now_ticks(connection: Any) -> int:
    return int(connection.execute(_NOW_TICKS).fetchone()[0])
