"""Pages of runs: how many there are in all, where a page begins, and the statements that count and read them."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import peewee

from notifhist.schemas.fields import MAX_INSTANT, MIN_INSTANT
from notifhist.schemas.query import RunsQuery
from notifhist.serializers.stored import StoredForm, StoredPage, encoded
from notifhist.store.counts.totals import Totals
from notifhist.store.database import TRIGRAM, Database
from notifhist.store.models import NotificationRunRow, TenantRow
from notifhist.store.runs.filters import asked_codes, asked_terms
from notifhist.store.sql import Statement, given
from notifhist.store.tenants import find_tenant, numbers_of

_MOST_SKIPPED = 1000
"""Runs that are skipped one by one before a page; the way to a deeper one is looked up in the counts."""
_FEW = 2000
"""Runs that are rather looked up one by one, and sorted, than met along the way of all runs by their date."""
_NONE = StoredPage(StoredForm.JSON, ())
_SEARCH = "search"
_TAKEN_FOR_ANOTHER = frozenset("\ufffd\ufffe\uffff")
_ALWAYS = (MIN_INSTANT, MAX_INSTANT + 1)
_MOST_SELECTIVE_FIRST = ("failed_reason", "ignored_reason", "notification_type", "status", "medium")


@dataclass(frozen=True)
class RunsPage:
    """A page of runs and how many there are in all."""

    runs: StoredPage
    total: int


def list_runs(db: Database, query: RunsQuery) -> RunsPage:
    """Return one page of a tenant's runs and the exact total, both of the same moment.

    With up to two filters, and dates, the cost does not grow with the number of runs. Others are counted, and
    skipped, one by one.
    """
    begin = _ALWAYS[0] if query.from_ms is None else query.from_ms
    end = _ALWAYS[1] if query.until_ms is None else query.until_ms + 1
    with db.reading():
        skipped = query.page * query.page_size
        runs = _Selection(db, query, begin, end, is_deep=skipped > _MOST_SKIPPED)
        first = 0
        if runs.totals is not None:
            first = 0 if query.from_ms is None else runs.before(runs.totals, begin)
            total = (runs.totals.total if query.until_ms is None else runs.before(runs.totals, end)) - first
        else:
            total = runs.count(begin, end)
        if skipped >= total:
            return RunsPage(_NONE, max(total, 0))  # none between a later and an earlier date
        limit = min(query.page_size, total - skipped)
        if skipped > _MOST_SKIPPED and runs.totals is not None:
            place = runs.totals.find(first + (total - 1 - skipped if query.descending else skipped))
            if query.descending:
                end, skipped = place.end, place.runs - 1 - place.skipped
            else:
                begin, skipped = place.begin, place.skipped
        return RunsPage(runs.read(begin, end, skipped, limit, are_few=runs.are_few or total <= _FEW), total)


@dataclass(frozen=True)
class _Shape:
    """What decides how a statement is written; the values are given when it runs."""

    codes: tuple[tuple[str, int], ...]
    """The columns that are filtered by, each with the number of values."""
    search: int
    """Of the searched text the length, up to TRIGRAM; less than that if no index knows it."""


class _Selection:
    """The runs that a query asks for, whatever their date. Times: from `begin` to before `end`, ms."""

    def __init__(self, db: Database, query: RunsQuery, begin: int, end: int, *, is_deep: bool) -> None:
        asked = asked_codes(query)
        needle = query.search_query.casefold()
        self._db, self._query = db, query
        terms = None if needle else asked_terms(asked)
        self.totals: Totals | None = None
        """Of all dates; None if there are no counts of such runs."""
        if terms is not None:
            dates = [begin] if query.from_ms is not None else []
            dates += [end] if query.until_ms is not None else []
            self.totals = Totals(db, query.tenant, terms, dates=dates, is_deep=is_deep)
        self._shape = _Shape(
            tuple((column, len(codes)) for column, codes in asked.items()),
            min(len(needle), TRIGRAM if _has_trigrams(needle) else TRIGRAM - 1),
        )
        self._values: dict[str, Any] = {"tenant": query.tenant, "needle": needle}
        for column, codes in asked.items():
            self._values |= {f"{column}{n}": code for n, code in enumerate(codes)}
        self._found: int | None = None
        if self._shape.search == TRIGRAM:
            first, last = numbers_of(find_tenant(db, query.tenant) or 0, 40)
            self._found = db.count_found(needle, first, last)
            self._values |= {"first": first, "last": last}
        self.are_few = self._found is not None and self._found <= _FEW

    def before(self, totals: Totals, at_ms: int) -> int:
        """Return how many were created before `at_ms`, by the counts and the runs of one bucket."""
        before, place = totals.rank(at_ms)
        return before + (self.count(place.begin, at_ms) if place is not None else 0)

    def count(self, begin: int, end: int) -> int:
        """Return how many there are, counting them."""
        if self._found is not None and not self._shape.codes and (begin, end) == _ALWAYS:
            return self._found
        rows = _counting(self._shape, self.are_few).rows(self._db, begin=begin, end=end, **self._values)
        return int(rows[0][0])

    def read(self, begin: int, end: int, skipped: int, limit: int, *, are_few: bool) -> StoredPage:
        """Return up to `limit` of them, behind the first `skipped`, in the query's order."""
        statement = _reading(self._shape, self._query.descending, self._query.include_objects, are_few)
        page = {"begin": begin, "end": end, "skipped": skipped, "limit": limit}
        ((documents,),) = statement.rows(self._db, **page, **self._values)
        return StoredPage(StoredForm.JSON, [encoded(documents)] if documents else ())


def _has_trigrams(needle: str) -> bool:
    """Say whether an index can find it: SQLite's takes some characters for another."""
    return len(needle) >= TRIGRAM and not _TAKEN_FOR_ANOTHER & set(needle)


@lru_cache(maxsize=512)
def _counting(shape: _Shape, are_few: bool) -> Statement:
    row = NotificationRunRow
    return Statement(lambda db: row.select(peewee.fn.COUNT(row.id)).where(*_conditions(db, shape, are_few)))


@lru_cache(maxsize=512)
def _reading(shape: _Shape, descending: bool, with_objects: bool, are_few: bool) -> Statement:
    row = NotificationRunRow
    document = row.document if with_objects else peewee.fn.COALESCE(row.brief, row.document)
    order = [column.desc() if descending else column for column in (row.date_created, row.id)]

    def build(db: Database) -> Any:
        page = (
            row.select(document.alias("text"))
            .where(*_conditions(db, shape, are_few))
            .order_by(*order)
            .limit(given("limit"))
            .offset(given("skipped"))
        )
        return peewee.Select([page], [db.joined(page.c.text, ",")])

    return Statement(build)


def _conditions(db: Database, shape: _Shape, are_few: bool) -> list[Any]:
    row = NotificationRunRow
    lead = _lead(shape, are_few)
    tenant_id = db.unindexed(row.tenant_id) if lead == _SEARCH else row.tenant_id
    tenant = TenantRow.select(TenantRow.id).where(TenantRow.name == given("tenant"))
    conditions = [
        peewee.Expression(tenant_id, "=", tenant),
        row.date_created >= given("begin"),
        row.date_created < given("end"),
    ]
    for name, number in shape.codes:
        column = getattr(row, name) if name == lead else db.unindexed(getattr(row, name))
        if number == 1:
            conditions.append(peewee.Expression(column, "=", given(f"{name}0")))
        else:
            conditions.append(
                peewee.Expression(
                    column, "IN", peewee.EnclosedNodeList([given(f"{name}{n}") for n in range(number)])
                )
            )
    if shape.search == TRIGRAM:
        conditions.append(db.found(row, given("needle"), given("first"), given("last")))
    elif shape.search:
        conditions.append(db.contains(row.search_text, given("needle")))
    return conditions


def _lead(shape: _Shape, are_few: bool) -> str | None:
    """Return the filter by whose index the runs are found, or _SEARCH; None: by that of their dates.

    By an index of a filter, runs come in the order of their dates only if they have one value of it.
    """
    if are_few and shape.search == TRIGRAM:
        return _SEARCH
    numbers = dict(shape.codes)
    usable = [name for name in _MOST_SELECTIVE_FIRST if name in numbers and (are_few or numbers[name] == 1)]
    return usable[0] if usable else None
