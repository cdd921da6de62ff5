"""The description of a counted table: its name, its filters, and which counts are kept of it."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, NamedTuple

from notifhist.schemas.query import PageQuery
from notifhist.store.database import Table

PART_BITS = 4
PARTS = tuple(f"part_{n}" for n in range(1 << PART_BITS))
"""The columns of a count row: how many records there are in each part of its bucket."""

Codes = tuple[int | None, ...]
"""A record's values of the filters, in the order of the table's filters, as codes."""
Terms = tuple[tuple[int, ...], tuple[int, ...]]
"""The terms that a count row's first filter may have, and its second; 0 stands for no filter."""


@dataclass(frozen=True)
class Filter:
    """A filter whose values are a published list.

    The store has a code for each value: its place in the list, counted from 1. Later versions add values at the end.
    """

    column: str
    """The column with the code; also the record's member, by the schema's name."""
    parameter: str
    """The attribute of the query object that holds the values asked for."""
    values: tuple[str, ...]

    def code(self, value: str | None) -> int | None:
        """Return the code of a value; None for none."""
        return None if value is None else self.values.index(value) + 1


@dataclass(frozen=True)
class IndexedFilter:
    """A filter whose values are an open vocabulary: not counted, its cost grows with the number of records that match.

    Its column has an index, in which `date_created` and `id` follow the column. An integer is stored as it is, a text
    as a digest: a text may have 10 MB, and an index of PostgreSQL takes no more than 2.7 kB.
    """

    column: str
    """The column; also the record's member, by the schema's name."""
    parameter: str
    """The attribute of the query object that holds the values asked for."""

    @staticmethod
    def stored(value: str | int | None) -> str | int | None:
        """Return a value as the column has it."""
        return hashlib.blake2b(value.encode(), digest_size=16).hexdigest() if isinstance(value, str) else value


class CountedRow(NamedTuple):
    """The columns of a record, beside its tenant."""

    id: int
    date_created: int
    """ms since the epoch, UTC."""
    codes: Codes
    document: str
    search_text: str = ""
    brief: str | None = None
    """The document as pages have it by default; None where that is the whole document."""
    indexed: tuple[str | int | None, ...] = ()
    """The record's values of the table's `indexed` filters, as they are stored."""


@dataclass(frozen=True, eq=False)
class CountedTable:
    """A table of a tenant's records with the columns of `CountedRow`, a column for each filter.

    Beside it there are `{name}_count`, and on SQLite `{name}_search`, the index of the searched texts. A table that
    `is_searched` by nobody has neither that nor the column `search_text`.
    """

    name: str
    filters: tuple[Filter, ...]
    most_selective_first: tuple[str, ...]
    """The filters' columns that have an index, in which `date_created` and `id` follow the column."""
    indexed: tuple[IndexedFilter, ...] = ()
    """The filters that are not counted, the most selective first."""
    is_searched: bool = True

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """The columns of the filters."""
        return tuple(each.column for each in self.filters)

    @cached_property
    def counts(self) -> Table:
        """The table of the counts, without `split_mask`, whose default is 0."""
        key = ("tenant_id", "shift", "bucket", "first_filter", "second_filter")
        types = dict.fromkeys((*key, *PARTS), "bigint") | {"shift": "integer"}
        return Table(f"{self.name}_count", types, key)

    def codes_of(self, record: Mapping[str, Any]) -> Codes:
        """Return the codes of a record, a mapping by the schema's names."""
        return tuple(each.code(record[each.column]) for each in self.filters)

    def indexed_of(self, record: Mapping[str, Any]) -> tuple[str | int | None, ...]:
        """Return a record's values of the `indexed` filters, as they are stored."""
        return tuple(each.stored(record[each.column]) for each in self.indexed)

    def columns_of(self, tenant_id: int, row: CountedRow) -> dict[str, object]:
        """Return a row's values by column."""
        values = row._asdict()
        if not self.is_searched:
            del values["search_text"]
        codes: Sequence[int | None] = values.pop("codes")
        indexed = zip(self.indexed, values.pop("indexed"), strict=True)
        by_column = {each.column: value for each, value in indexed} | dict(zip(self.codes, codes, strict=True))
        return {"tenant_id": tenant_id, **values, **by_column}

    def wanted_codes(self, query: PageQuery) -> dict[str, tuple[int, ...]]:
        """Return the codes that a query asks for, by column, for the filters that it has."""
        wanted = {}
        for each in self.filters:
            if values := getattr(query, each.parameter):
                wanted[each.column] = tuple(sorted({each.values.index(value) + 1 for value in values}))
        return wanted

    def wanted_values(self, query: PageQuery) -> dict[str, tuple[str | int | None, ...]]:
        """Return the stored values that a query asks for, by column, for the `indexed` filters that it has."""
        wanted = {each: dict.fromkeys(getattr(query, each.parameter)) for each in self.indexed}
        return {each.column: tuple(map(each.stored, values)) for each, values in wanted.items() if values}

    def wanted_terms(self, wanted: Mapping[str, tuple[int, ...]]) -> Terms | None:
        """Return the terms whose counts add up to the total of the wanted codes.

        None if more than two filters are combined: such combinations are not counted.
        """
        terms = [
            tuple(_term(n, code) for code in wanted[each.column])
            for n, each in enumerate(self.filters, start=1)
            if each.column in wanted
        ]
        if len(terms) > 2:
            return None
        first, second = (*terms, (0,), (0,))[:2]
        return first, second


def pairs_of(codes: Codes) -> Iterator[tuple[int, int]]:
    """Yield the pairs that a record counts as: (0, 0) for the total, one for each value and for each two values.

    A value of a filter is a term; a pair has them in the order of the filters, and 0 for no filter.
    """
    terms = [_term(n, code) for n, code in enumerate(codes, start=1) if code is not None]
    yield 0, 0
    yield from ((term, 0) for term in terms)
    yield from combinations(terms, 2)


def _term(filter_number: int, code: int) -> int:
    """Return the term of a value: the number of its filter, from 1 on, and its code."""
    return filter_number << 8 | code
