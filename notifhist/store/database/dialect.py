"""The interface to a database, which each dialect implements.

A dialect is one class, derived from peewee's class for its engine (which has the methods `connect` to `atomic`). It
holds all differences between the engines. The members that return SQL return text for `sql.rows`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from notifhist.store.database.condition import Condition, Node
from notifhist.store.database.tables import Table

TRIGRAM = 3
"""How many characters a searched text must have for an index to find it."""

HAS_OLDER = """SELECT 1 FROM series
WHERE EXISTS (SELECT 1 FROM history_item WHERE series_id = series.id AND ticks < :before) LIMIT 1"""
"""The query that finds whether an item is from before a tick, by a seek of an index for each series."""

PurgeDerived = Callable[[int], Iterator[int]]
"""Deletes what is derived from the items of before a time (ms since the epoch); yields 0 after each transaction."""

Report = Callable[[int, int], object]
"""Takes note of so many units of work done, and of so many that are to be done beside those known already."""


class Database(Protocol):
    """A database; each thread has a connection of its own."""

    pieces_of: int
    """How many documents of a page one statement joins: fewer take less memory, and more statements."""
    has_replicas: bool
    """True if a replica's progress can be compared with the primary's log (`store.replicas`)."""
    runs_in_process: bool
    """True if the engine runs in this process: no statement is a round trip, and reading threads queue at the GIL."""

    @property
    def has_older(self) -> str:
        """The query that finds something if there is an item from before the tick `:before`."""

    @property
    def inserts_alone(self) -> bool:
        """Whether one statement inserts into two tables, and saves round trips."""

    @property
    def sorts_groups(self) -> bool:
        """Whether GROUP BY copies and sorts the rows that it counts. SQLite takes 9 ms for 29,000, 3 to join them."""

    @property
    def remembered(self) -> dict[Any, Any]:
        """What may be remembered of rows that never change, of all tables.

        Each connection has its own: that of another thread may lead to the database of before a promotion.
        """

    def connect(self, reuse_if_open: bool = False) -> bool:
        """Connect this thread."""

    def connection(self) -> Any:
        """Return this thread's connection, as the driver made it."""

    def close(self) -> Any:
        """Close this thread's connection."""

    def is_closed(self) -> bool:
        """Say whether this thread has no connection."""

    def in_transaction(self) -> bool:
        """Say whether this thread is in a transaction."""

    def get_tables(self) -> list[str]:
        """Return the names of all tables."""

    def execute(self, query: Any) -> Any:
        """Execute a query of peewee's; return the cursor."""

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """Execute SQL in the driver's own style of parameters; return the cursor."""

    def atomic(self) -> Any:
        """Return a transaction."""

    def ahead_ticks(self) -> int:
        """Return by how much the server's clock was ahead of ours when a thread connected, or at most a minute ago.

        In 100 ns; 0 if they differ by less than a second, the engine runs in this process, or its clock does not count.
        """

    def is_current(self) -> bool:
        """Say whether this thread's connection still works, and leads to the database that is there now."""

    def named(self, text: str) -> str:
        """Return SQL text with the driver's own style of named parameters for each `:name`."""

    def execute_many(self, text: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Execute SQL text once for each mapping of values, in few round trips."""

    def writing(self) -> AbstractContextManager[Any]:
        """Return a transaction that writes."""

    def reading(self) -> AbstractContextManager[Any]:
        """Return a transaction whose reads all see the same state."""

    def migrating(self) -> AbstractContextManager[Any]:
        """Return a transaction in which only one host at a time migrates."""

    def pausing_after(self) -> AbstractContextManager[None]:
        """Wrap one of many transactions in a row, and pause after it on engines where other writers would starve."""

    def give_back_deleted(self, table: str) -> None:
        """Make the space of a table's deleted rows free, where reading it would be dearer with each of them.

        Not in a transaction. If it fails, nothing is raised: the table is as it was.
        """

    def lock_name(self, name: str) -> None:
        """Make other transactions that lock the same name wait for the end of this one."""

    @staticmethod
    def joined(column: str, separator: str) -> str:
        """Return the aggregate that joins a column's texts (ASCII `separator`) in the order of the rows.

        Its value is text or UTF-8 bytes; null if there are no rows.
        """

    @staticmethod
    def within_share(text: str) -> str:
        """Return the expression `text`, which is to be joined by `first_within`: null where it is too long for that."""

    @staticmethod
    def count_joined(column: str) -> str:
        """Return the aggregate that counts the texts that are joined, of texts none of which is null by itself."""

    @staticmethod
    def first_rows(selects: Sequence[str], order: str, are_sorted: bool) -> str:
        """Return the query for the first `:limit` rows of several SELECTs together, in an order.

        `are_sorted`: each finds its rows in that order, by an index, so that no more of them need be looked at.
        """

    def first_within(self, max_bytes: int | None, limit: int, text: str, values: Mapping[str, object]) -> Any:
        """Return the first row of a query whose texts, up to `:limit`, are `joined` to at most `max_bytes`.

        If they are longer, they are never in memory: SQLite returns None; PostgreSQL leaves out those that are longer
        than an equal share of `max_bytes`. Without `max_bytes` they may have any length.
        """

    @staticmethod
    def text_of(column: str) -> str:
        """Return the text of an item's column `document` or `xml`, wherever it is stored."""

    @staticmethod
    def by_index(table: str, index: str | None) -> str:
        """Return the table for FROM, read by an index where the planner would choose badly; None: by no index but the
        table's own key.
        """

    @staticmethod
    def by_entry(table: str, index: str, key: Sequence[str], condition: str) -> str:
        """Return a condition on columns of an index, whose `key` leads to a record's entry.

        It is written so that the entry is read, where the planner would read the record.
        """

    @staticmethod
    def by_code_point(column: str) -> str:
        """Return a column of texts, written so that it is compared and sorted by code point, by index too."""

    @staticmethod
    def unindexed(column: str) -> str:
        """Return `column`, written so that no index is chosen for it where the planner would choose badly."""

    def confirm_stored(self) -> None:
        """Have the commit of this transaction wait until what it has read is as durable as what it writes.

        Who is told that a record is there already, or is not there to be deleted, takes that for a promise. On
        PostgreSQL a transaction that changes nothing does not wait for synchronous standbys, which may lack what a
        client wrote that was given up.
        """

    def locked(self, select: str) -> str:
        """Return a SELECT whose rows stay as they are until the transaction ends."""

    def param_table(self, columns: Mapping[str, str]) -> str:
        """Return a table `param` with these columns (and types), whose rows are the value of `:param`."""

    def param_value(self, columns: Iterable[str], rows: Sequence[Sequence[Any]]) -> str:
        """Return the value of `:param`: all rows as one text, which one parameter passes."""

    def for_each(
        self, text: str, columns: Mapping[str, str], keys: Sequence[Sequence[Any]], **values: object
    ) -> list[tuple[Any, ...]]:
        """Return what a query finds for each of some keys, in no order: for `{param}` in it stands a table of these."""

    def insert_missing(self, table: Table, rows: Sequence[Sequence[Any]]) -> set[tuple[Any, ...]]:
        """Insert the rows whose key is new, and return their keys. Rows have the table's columns."""

    def insert_or_add(self, table: Table, rows: Iterable[Sequence[Any]], columns: Sequence[str] = ()) -> None:
        """Insert rows; if a key is there already, add the row's other columns to the stored ones.

        `columns`: those that the rows have, the key among them, if all others are 0; to pass 16 numbers of which one
        is not 0 costs twice as much.
        """

    def insert_searchable(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert records of one tenant into a counted table, and its index of `search_text`, if they have that column.

        A row has the values of `columns`, of which `tenant_id` is the first. The tenant's name is locked.
        """

    def move_searchable(
        self, source: Table, table: str, tenant_id: int, returned: Sequence[str], characters: int
    ) -> list[tuple[Any, ...]]:
        """Move a tenant's records from `source`, which has no index of texts, to a table of the same columns that has.

        Returns the values of some of the columns, record by record.
        `characters`: how long their `search_text` are together. PostgreSQL moves the first of them alone, one at least,
        if all are too much for the time limit of a statement: then call it again.
        """

    def update_searchable(self, table: str, row: Mapping[str, object]) -> None:
        """Replace the record of the same `tenant_id` and `id`, in the index of `search_text` too."""

    def delete_searchable(self, table: str, condition: str, values: Mapping[str, object]) -> None:
        """Delete records of a table with an index of `search_text`, from the index too."""

    @staticmethod
    def contains(column: str, text: str) -> str:
        """Return the condition that `column` contains `text`, literally."""

    @staticmethod
    def found(table: str, text: str, tenant_id: str) -> str:
        """Return the condition that the tenant's record contains `text`, of TRIGRAM characters or more; by index."""

    @staticmethod
    def trigrams(text: str) -> str:
        """Return the value of the parameter by which `likely` finds a text of TRIGRAM characters or more."""

    @staticmethod
    def likely(table: str, trigrams: str, tenant_id: str) -> str:
        """Return the condition that the tenant's record has all trigrams of a text, in any place; by index."""

    def count_likely(self, table: str, trigrams: str, tenant_id: int) -> int | None:
        """Return how many of the tenant's records `likely` finds, by its index alone; None if that cannot tell."""

    def count_found(self, table: str, text: str, tenant_id: int) -> int | None:
        """Return how many of the tenant's records `found` finds, by its index alone; None if the index cannot tell."""

    def place_tables(self) -> list[str]:
        """Spread the tables over the nodes of a cluster, if this is one, with their rows; return which were not yet."""

    def nodes(self) -> list[Node]:
        """Return the nodes of a cluster that may have rows of the tables, by name; none if this is no cluster."""

    def making_tables(self, tables: Mapping[str, str]) -> Sequence[str]:
        """Return what a transaction executes that has made tables, each to be spread like another one."""

    def unplaced_tables(self) -> list[str]:
        """Return which tables `place_tables` has yet to spread."""

    def ensure_partitions(self, ticks: Iterable[int], now_ticks: int, oldest_ms: int | None) -> None:
        """Make the partitions for items of these times (100 ns since the epoch); not within a transaction."""

    def count_expired(self, oldest_ms: int) -> int:
        """Return how many items `purge` will delete."""

    def purge(self, oldest_ms: int, batch: int, purge_derived: PurgeDerived) -> Iterator[int]:
        """Delete items older than `oldest_ms` (ms since the epoch) and give their space back, while others go on.

        Yields how many, after each transaction. `purge_derived` is called before items are deleted one by one: what
        is derived from them must not outlive them, since an item may be recorded again. Raises OperationalError if it
        cannot lock the partition of a week.
        """

    def may_be_written(self) -> bool:
        """Say whether this user may write to the files of the database; a server sees to its own."""

    def condition(self) -> Condition:
        """Return the condition of the database, as far as this engine can tell it."""

    def damage(self) -> list[str]:
        """Return what is wrong with the file, five findings at most; a server looks for that by itself."""

    def backup_command(self, path: Path) -> list[str]:
        """Return the command of the engine's own program that makes a backup at `path`; empty if `back_up` does."""

    def back_up(self, path: Path, report: Report) -> None:
        """Copy the database, as it is when this begins, into the empty file at `path`, while others go on.

        Raises BackupFailed, if the copy is not sound, and where a program of the engine's own does that.
        """
