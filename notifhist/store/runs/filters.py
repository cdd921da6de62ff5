"""The five filters of runs, each with the codes by which the store knows its values.

A code is the place of the value in its published list, counted from 1: later editions add values at the end.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any, NamedTuple

from notifhist.schemas.query import RunsQuery
from notifhist.schemas.runs import FAILED_REASONS, IGNORED_REASONS, MEDIUMS, NOTIFICATION_TYPES, STATUSES

Codes = tuple[int | None, ...]
"""A run's values of the filters, in the order of FILTERS, as codes."""


class _Filter(NamedTuple):
    column: str
    parameter: str
    values: tuple[str, ...]

    def code(self, value: str | None) -> int | None:
        return None if value is None else self.values.index(value) + 1


FILTERS = (
    _Filter("notification_type", "notification_types", NOTIFICATION_TYPES),
    _Filter("status", "statuses", STATUSES),
    _Filter("medium", "mediums", MEDIUMS),
    _Filter("ignored_reason", "ignored_reasons", IGNORED_REASONS),
    _Filter("failed_reason", "failed_reasons", FAILED_REASONS),
)


def codes_of(run: Mapping[str, Any]) -> Codes:
    """Return the codes of a run, by the names of its columns."""
    return tuple(each.code(run[each.column]) for each in FILTERS)


def asked_codes(query: RunsQuery) -> dict[str, tuple[int, ...]]:
    """Return the codes that a query asks for, by column; of those filters that it has."""
    asked = {}
    for each in FILTERS:
        if values := getattr(query, each.parameter):
            asked[each.column] = tuple(sorted({each.values.index(value) + 1 for value in values}))
    return asked


def pairs_of(codes: Codes) -> Iterator[tuple[int, int]]:
    """Yield all that a run is counted as: one of all, one for each of its values, one for each two of them.

    A value of a filter is a term: the number of the filter and the code. A pair is in the order of FILTERS;
    0 stands for no filter.
    """
    terms = [n << 8 | code for n, code in enumerate(codes, start=1) if code is not None]
    yield 0, 0
    yield from ((term, 0) for term in terms)
    yield from combinations(terms, 2)


def asked_terms(asked: Mapping[str, tuple[int, ...]]) -> tuple[tuple[int, ...], ...] | None:
    """Return the terms, those of the pairs' first and those of their second, that add up to what is asked.

    None if more than two filters are combined: such pairs are not counted.
    """
    terms = [
        tuple(n << 8 | code for code in asked[each.column])
        for n, each in enumerate(FILTERS, start=1)
        if each.column in asked
    ]
    if len(terms) > 2:
        return None
    return (*terms, (0,), (0,))[:2]
