"""The description of a counted table: its name, its filters, and which counts are kept of it."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, pairwise
from operator import itemgetter, or_
from typing import Any, NamedTuple

from notifhist.schemas.query import PageQuery
from notifhist.store.database import Table

PARTS = tuple(f"part_{n}" for n in range(16))
"""The columns of a count row: how many records there are in each part of its bucket."""

_NO_VALUE = -1
"""Stands for the term of a filter of which a record has no value: a pair with it is negative."""

Codes = tuple[int | None, ...]
"""A record's values of the filters, in the order of the table's filters, as codes."""
Pair = tuple[int, int]
"""The terms of two filters, in the order of the table's filters (`Counted.pairs_of`)."""
Terms = tuple[tuple[int, ...], tuple[int, ...]]
"""The terms that a count row's first filter may have, and its second; 0 stands for no filter."""


class Level(NamedTuple):
    """A level of the counts: buckets of time, each divided into parts, which are the buckets of the next level.

    `number` is what a count row has in its column `level`; buckets are counted from the epoch.
    """

    number: int
    part_ms: int
    parts: int = len(PARTS)

    @property
    def bucket_ms(self) -> int:
        """How long a bucket is."""
        return self.part_ms * self.parts


def levels_of(*part_ms: int) -> tuple[Level, ...]:
    """Return levels whose parts have these lengths, each a multiple of the next; a bucket of the first has 16 parts."""
    parts = [len(PARTS), *(longer // shorter for longer, shorter in pairwise(part_ms))]
    return tuple(Level(n, *each) for n, each in enumerate(zip(part_ms, parts, strict=True)))


BINARY_LEVELS = tuple(Level(bits, 1 << bits - 4) for bits in range(48, 0, -4))
"""Buckets of 2^48 ms and so on: 8,900 years, 557 years, 35 years, 2.2 years, 50 days, 3 days, 4.7 hours …"""


@dataclass(frozen=True)
class Filter:
    """A filter whose values have codes; a record has one of them, or none.

    Of a published list of `values`, the code is the place in the list, counted from 1; later versions add values at the
    end. A filter without such a list has numbers that the store gives to its values (`store.deliveries.names`).
    `paired_with`: the columns of the filters with which it is counted together; None: with every other. A filter that
    nobody asks for without another one need not be `is_counted_alone`.
    """

    column: str
    """The column with the code; also the record's member, by the schema's name."""
    parameter: str
    """The attribute of the query object that holds the values asked for."""
    values: tuple[str, ...] = ()
    paired_with: tuple[str, ...] | None = None
    is_counted_alone: bool = True

    def code(self, value: str | None) -> int | None:
        """Return the code of a value of the published list; None for none."""
        return None if value is None else self.values.index(value) + 1

    def is_paired_with(self, other: "Filter") -> bool:
        """Say whether records are counted by this filter and another one together."""
        return all(a.paired_with is None or b.column in a.paired_with for a, b in ((self, other), (other, self)))


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
class Counted:
    """What is counted: the records of a table, by time and by their values of the filters.

    The counts stand in the table `{name}_count`.
    """

    name: str
    filters: tuple[Filter, ...]
    levels: tuple[Level, ...] = field(default=BINARY_LEVELS, kw_only=True)
    time: str = field(default="date_created", kw_only=True)
    """The column with the time of a record,"""
    units_per_ms: int = field(default=1, kw_only=True)
    """and how many of its units are a millisecond."""
    code_bits: int = field(default=8, kw_only=True)
    """A code has so many bits at most."""
    coarseness: int = field(default=1, kw_only=True)
    """A part may have so many times `counts.SPLIT_ABOVE` records before it is split."""
    names: str = field(default="", kw_only=True)
    """The table with the codes of the filters without a published list, if there are such filters."""

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """The columns of the filters."""
        return tuple(each.column for each in self.filters)

    @cached_property
    def counts(self) -> Table:
        """The table of the counts, without `split_mask`, whose default is 0."""
        key = ("tenant_id", "level", "bucket", "first_filter", "second_filter")
        types = dict.fromkeys((*key, *PARTS), "bigint") | {"level": "integer"}
        return Table(f"{self.name}_count", types, key)

    def wanted_terms(self, wanted: Mapping[str, tuple[int, ...]]) -> Terms | None:
        """Return the terms whose counts add up to the total of the wanted codes.

        None if more than two filters are combined: such combinations are not counted.
        """
        filters = [each for each in self.filters if each.column in wanted]
        if len(filters) > 2 or (len(filters) == 2 and not filters[0].is_paired_with(filters[1])):
            return None
        terms = [tuple(self.term(each, code) for code in wanted[each.column]) for each in filters]
        first, second = (*terms, (0,), (0,))[:2]
        return first, second

    def term(self, each: Filter, code: int) -> int:
        """Return the term of a value: the number of its filter, from 1 on, and its code."""
        return self.filters.index(each) + 1 << self.code_bits | code

    def terms_of(self, each: Filter) -> tuple[int, int]:
        """Return the first and the last term that a filter can have."""
        first = self.term(each, 0)
        return first, first + (1 << self.code_bits) - 1

    def pairs_of(self, codes: Codes) -> list[int]:
        """Return the pairs that a record of these codes counts as, each as one number (`split`).

        It counts as (0, 0) for the total, and as a pair for each value and for each two values. A value of a filter is
        a term; a pair has them in the order of the filters, and 0 for no filter. Numbers are sorted as pairs are, and
        cost the half of them: there are millions.
        """
        terms = [0, *(_NO_VALUE if code is None else bits | code for bits, code in zip(self._bits, codes, strict=True))]
        firsts, seconds = self._places
        pairs = map(or_, firsts([term << self._term_bits for term in terms]), seconds(terms))
        return list(pairs) if None not in codes else [pair for pair in pairs if pair >= 0]

    def count_pairs(self, records: Collection[Codes]) -> Mapping[int, int]:
        """Return the pairs that records of these codes count as (`pairs_of`), each with the number of its records.

        Filter by filter: of thousands of records that takes half the time that `pairs_of` takes for each.
        """
        columns = [[0] * len(records), *zip(*records, strict=True)]
        bits = (0, *self._bits)
        counted: dict[int, int] = {}
        for first, second in self._pairs:
            for (one, other), number in Counter(zip(columns[first], columns[second], strict=True)).items():
                if one is not None and other is not None:
                    counted[(bits[first] | one) << self._term_bits | bits[second] | other] = number
        return counted

    def split(self, pair: int) -> Pair:
        """Return the terms of a pair."""
        return pair >> self._term_bits, pair & (1 << self._term_bits) - 1

    @cached_property
    def _term_bits(self) -> int:
        return max((self.term(each, 0) for each in self.filters), default=0).bit_length()

    @cached_property
    def _bits(self) -> tuple[int, ...]:
        """What a code of each filter becomes a term with."""
        return tuple(self.term(each, 0) for each in self.filters)

    @cached_property
    def _pairs(self) -> list[tuple[int, int]]:
        """The places of both terms of each pair, among those of all filters, before which 0 stands."""
        numbered: list[tuple[int, Filter]] = list(enumerate(self.filters, start=1))
        pairs = [(0, 0), *((n, 0) for n, each in numbered if each.is_counted_alone)]
        return pairs + [(a, b) for (a, one), (b, other) in combinations(numbered, 2) if one.is_paired_with(other)]

    @cached_property
    def _places(self) -> tuple[Callable[[Sequence[int]], tuple[int, ...]], ...]:
        """What takes the first of each pair, and the second, from the terms of all filters, before which 0 stands."""
        if len(self._pairs) == 1:  # without filters; of one place `itemgetter` makes no tuple
            return itemgetter(slice(0, 1)), itemgetter(slice(0, 1))
        return tuple(itemgetter(*places) for places in zip(*self._pairs, strict=True))


@dataclass(frozen=True, eq=False)
class CountedTable(Counted):
    """A table of a tenant's records with the columns of `CountedRow`, a column for each filter.

    Beside it there are the counts, and on SQLite `{name}_search`, the index of the searched texts. A table that
    `is_searched` by nobody has neither that nor the column `search_text`.
    """

    most_selective_first: tuple[str, ...]
    """The filters' columns that have an index, in which `date_created` and `id` follow the column."""
    indexed: tuple[IndexedFilter, ...] = ()
    """The filters that are not counted, the most selective first."""
    is_searched: bool = True

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
