"""The pieces of SQL that PostgreSQL writes in a way of its own; what each is for, says `Database`."""

import re
from collections.abc import Sequence
from functools import lru_cache


class PostgresqlText:
    """Makes SQL text, and needs no connection for it."""

    @staticmethod
    def joined(column: str, separator: str) -> str:
        return f"string_agg({column}, '{separator}')"

    @staticmethod
    def within_share(text: str) -> str:
        """Return `text`, if it is within its share: PostgreSQL knows how long a text is without reading it."""
        return f"CASE WHEN octet_length({text}) <= :share THEN {text} END"

    @staticmethod
    def count_joined(column: str) -> str:
        return f"count({column})"

    @staticmethod
    def first_rows(selects: Sequence[str], order: str, are_sorted: bool) -> str:
        """Limit each SELECT, whose plan does then not depend on the others."""
        first = f"ORDER BY {order} LIMIT :limit"
        each_first = [f"SELECT * FROM ({select} {first}) AS select_{n}" for n, select in enumerate(selects)]
        return f"{' UNION ALL '.join(each_first)} {first}"

    @staticmethod
    def text_of(column: str) -> str:
        """Return `column`: PostgreSQL itself stores long values apart."""
        return column

    @staticmethod
    def by_index(table: str, index: str | None) -> str:
        """Return `table`: the planner has statistics."""
        return table

    @staticmethod
    def by_entry(table: str, index: str, key: Sequence[str], condition: str) -> str:
        """Return `condition` as it is: only SQLite was seen to read too many records."""
        return condition

    @staticmethod
    def by_code_point(column: str) -> str:
        """Return `column` in the collation "C": the database's own may sort as a language does."""
        return f'{column} COLLATE "C"'

    @staticmethod
    def unindexed(column: str) -> str:
        """Return `column`: the planner has statistics."""
        return column

    @staticmethod
    def contains(column: str, text: str) -> str:
        return f"strpos({column}, {text}) > 0"

    @staticmethod
    def found(table: str, text: str, tenant_id: str) -> str:
        """Return the condition that a record has all trigrams, by the index, and the text itself."""
        likely = f"notifhist_trigrams(search_text) @> notifhist_trigrams({text})"
        return f"{likely} AND {PostgresqlText.contains('search_text', text)}"

    @staticmethod
    def trigrams(text: str) -> str:
        return text

    @staticmethod
    def likely(table: str, trigrams: str, tenant_id: str) -> str:
        return f"notifhist_trigrams(search_text) @> notifhist_trigrams({trigrams})"


@lru_cache(maxsize=2048)
def named(text: str) -> str:
    """Return SQL text with the driver's names of parameters, `%(name)s`, in the place of `:name`."""
    return re.sub(r"(?<!:):(\w+)", r"%(\1)s", text)
