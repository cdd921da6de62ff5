"""The pieces of SQL that SQLite writes in a way of its own; what each is for, says `Database`."""

from collections.abc import Sequence
from itertools import islice

from notifhist.store.database.dialect import TRIGRAM

NUMBER_BITS = 40
"""A record's rowid is its tenant's number, followed by this many bits for the record's own number."""
_TRIGRAMS = 60
"""As many trigrams of a text are looked for: they find few records."""


class SqliteText:
    """Makes SQL text, and needs no connection for it."""

    @staticmethod
    def joined(column: str, separator: str) -> str:
        """Return the aggregate of a column's texts; as a blob, since bytes need not be decoded."""
        return f"CAST(group_concat({column}, '{separator}') AS BLOB)"

    @staticmethod
    def within_share(text: str) -> str:
        return text

    @staticmethod
    def count_joined(column: str) -> str:
        """Return the count of all: none is left out, and to look whether one is null SQLite would copy it."""
        return "count(*)"

    @staticmethod
    def first_rows(selects: Sequence[str], order: str, are_sorted: bool) -> str:
        """Have sorted rows merged: to sort them again, SQLite would copy each twice, in twice the time of all else."""
        first = f"ORDER BY {order} LIMIT :limit"
        each_first = selects if are_sorted else [f"SELECT * FROM ({select} {first})" for select in selects]
        return f"{' UNION ALL '.join(each_first)} {first}"

    @staticmethod
    def text_of(column: str) -> str:
        """Return the column, or the long text it refers to; `typeof` does not read the column (docs/adr/0021)."""
        long_text = f"(SELECT text FROM long_text WHERE id = CAST({column} AS INTEGER))"
        return f"CASE typeof({column}) WHEN 'blob' THEN {long_text} ELSE {column} END"

    @staticmethod
    def by_index(table: str, index: str | None) -> str:
        """Return the table and its index: SQLite has no statistics to choose well by."""
        return f"{table} NOT INDEXED" if index is None else f"{table} INDEXED BY {index}"

    @staticmethod
    def by_entry(table: str, index: str, key: Sequence[str], condition: str) -> str:
        """Return the condition that there is such an entry of the record's `number`."""
        same = " AND ".join(f"entry.{name} = {table}.{name}" for name in (*key, "number"))
        return f"EXISTS (SELECT 1 FROM {table} AS entry INDEXED BY {index} WHERE {same} AND entry.{condition})"

    @staticmethod
    def by_code_point(column: str) -> str:
        """Return `column`: SQLite compares UTF-8 byte by byte, which is the same."""
        return column

    @staticmethod
    def unindexed(column: str) -> str:
        """Return `column` such that no index is chosen for it: SQLite has no statistics to choose well by."""
        return f"+{column}"

    @staticmethod
    def contains(column: str, text: str) -> str:
        return f"instr({column}, {text}) > 0"

    @staticmethod
    def found(table: str, text: str, tenant_id: str) -> str:
        """Return the condition that the index has the record's number, among the tenant's numbers."""
        phrase = f"""'"' || replace({text}, '"', '""') || '"'"""
        return f"number IN (SELECT rowid FROM {table}_search WHERE text MATCH {phrase} AND {numbers_of(tenant_id)})"

    @staticmethod
    def trigrams(text: str) -> str:
        """Return an expression of FTS5; some trigrams of a long text are enough to find few records."""
        trigrams = dict.fromkeys(text[n : n + TRIGRAM] for n in range(len(text) - TRIGRAM + 1))
        return " ".join('"' + each.replace('"', '""') + '"' for each in islice(trigrams, _TRIGRAMS))

    @staticmethod
    def likely(table: str, trigrams: str, tenant_id: str) -> str:
        found = f"SELECT rowid FROM {table}_search WHERE {table}_search MATCH {trigrams}"
        return f"number IN ({found} AND {numbers_of(tenant_id)})"


def numbers_of(tenant_id: str) -> str:
    """Return the condition for the rowids of a tenant's records."""
    return f"rowid BETWEEN {tenant_id} << {NUMBER_BITS} AND (({tenant_id} + 1) << {NUMBER_BITS}) - 1"
