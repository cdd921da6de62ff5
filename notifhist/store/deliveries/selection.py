"""Which deliveries a query asks for, as conditions of SQL, and how many there are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.store.counted.pages import has_trigrams
from notifhist.store.counted.ranges import Pairs, Range, Ranges, Sums
from notifhist.store.counted.table import Filter
from notifhist.store.database import Database
from notifhist.store.database.sql import integers, joined_integers, rows
from notifhist.store.deliveries.derive import hash_of
from notifhist.store.deliveries.names import find_codes
from notifhist.store.deliveries.recording import known_tenant
from notifhist.store.deliveries.table import DELIVERIES

MAIN, RECENT = "delivery", "delivery_recent"
_SEARCH, _TIME = "search", "time"
_FEW = 2000
"""Up to this many matches are fetched by an index that is not in their order, and sorted."""
_MOST_SELECTIVE_FIRST = (
    *("transaction_hash", "series_id", "notification_id", "entity_id", "notification_plan_id"),
    *("notification_type", "outcome", "state"),
)
_MOST_SELECTS = 4
"""Up to so many ranges have a SELECT each."""
_MOST_FETCHED = 5000
"""Up to so many deliveries that are to be grouped are fetched: to group a thousand takes SQLite twice the time."""
_MOST_JOINED = 100_000
"""The codes of up to so many are joined to texts."""
_SPARSE = 128
"""If there are more than so many times the deliveries that two filters match, each one that a filter alone matches is
looked up in the index of time before it is read. Most stand on pages of the file of their own: a page costs 4 µs, an
entry of the index 0.3 µs.
"""
_TOGETHER = "entity_id"
"""The deliveries of an entity stand together, item by item: to look each up first took 1.15 times as long."""
_PARAM = {"n": "integer", "low": "bigint", "high": "bigint"}
_SERIES = """SELECT id FROM series WHERE tenant_id = :tenant_id AND {column} IN ({values})"""


class Selection:
    """The deliveries that a query asks for, in any time; `is_empty` if there can be none.

    A stream is read by many statements, of which each would find all texts by the index anew: if these are not few, it
    looks at every text, once.
    """

    def __init__(self, db: Database, query: DeliveriesQuery, *, is_stream: bool = False) -> None:
        self._db = db
        self.tenant_id = known_tenant(db, query.tenant) or 0
        self.codes = self._wanted_codes(query)
        self.is_empty = not self.tenant_id or not all(self.codes.values())
        self._needle = query.search_query.casefold()
        self._is_indexed = has_trigrams(self._needle)
        self.values: dict[str, Any] = {"tenant_id": self.tenant_id, "needle": self._needle}
        self._conditions: dict[str, str] = {}
        """What is wanted of each column, without the column."""
        for column, codes in self.codes.items():
            self._add(column, codes)
        self._add("transaction_hash", [hash_of(each) for each in query.transaction_ids])
        self._add_series({"alarm_id": query.alarm_ids, "check_id": query.check_ids})
        self.is_few = False
        self._in_all = 0
        """How many deliveries there are at most in the ranges that were counted, if by stored counts."""
        self._is_sparse = False
        """Whether so few deliveries match that most of those that one filter alone finds do not."""
        if self._is_indexed and not self.is_empty:
            self.values["trigrams"] = trigrams = db.trigrams(self._needle)
            likely = db.count_likely(MAIN, trigrams, self.tenant_id)
            self.is_few = likely is not None and likely <= _FEW
            self._is_indexed = self.is_few or not is_stream

    def source(self, table: str, lead: str | None = None) -> str:
        """Return what stands after FROM for the deliveries of a table, with all conditions but for their time.

        `lead`: the column by whose index they are found, or _TIME; None: that of the most selective condition, else
        _TIME.
        """
        of_columns = {column: f"{column} {condition}" for column, condition in self._conditions.items()}
        if self._is_sparse and table == MAIN and not lead and (found_by := self._lead) not in (None, _TOGETHER):
            of_columns |= {each: self._by_time(wanted) for each, wanted in of_columns.items() if each != found_by}
        conditions = list(of_columns.values())
        if self._needle:
            conditions.append(self._db.contains("search_text", ":needle"))
        if table == RECENT:
            return f"{RECENT} WHERE {' AND '.join(['tenant_id = :tenant_id', *conditions])}"
        if self._is_indexed:
            conditions.append(self._db.likely(MAIN, ":trigrams", ":tenant_id"))
        lead = lead or self._lead
        tenant_id = self._db.unindexed("tenant_id") if lead == _SEARCH else "tenant_id"
        index = None if lead == _SEARCH else f"{MAIN}_{lead or _TIME}"
        return f"{self._db.by_index(MAIN, index)} WHERE {' AND '.join([f'{tenant_id} = :tenant_id', *conditions])}"

    @property
    def is_sorted(self) -> bool:
        """Whether the index by which `source` finds deliveries has them in the order of their keys."""
        return (lead := self._lead) is None or self._conditions.get(lead, "")[:1] == "="

    def counted(self, ranges: Sequence[Range], by: Sequence[Filter] = ()) -> list[Sums]:
        """Return how many there are in each range of time, exactly, by the codes of some filters.

        What has no code of one of them is left out.
        """
        sums: list[Sums] = [Counter() for _ in ranges]
        if self.is_empty:
            return sums
        left = list(enumerate(ranges))
        lead, are_joined = None, False
        if (pairs := self._pairs(by)) is not None:
            counts = Ranges(self._db, DELIVERIES, self.tenant_id, pairs)
            sums, left = counts.sums(ranges)
            self._in_all = counts.whole + counts.most_left
            # Few are left, and the index of time has the codes of both filters: no delivery itself is read.
            lead = _TIME if len(self.codes) + len(by) > 1 else None
            if by and len(ranges) == 1 and counts.most_left <= _MOST_FETCHED:
                self._fetch(sums[0], by, [each for _, each in left], ranges[0])
                return sums
            are_joined = len(by) == 1 and counts.most_left <= _MOST_JOINED
            are_joined = are_joined and (self._db.sorts_groups or not by[0].values)
        of_tables = {MAIN: left, RECENT: list(enumerate(ranges))}
        self._count_rows(sums, by, of_tables, lead, are_joined=are_joined)
        return sums

    def total(self, wanted: Range) -> int:
        """Return how many there are in a range of time."""
        (sums,) = self.counted([wanted])
        total = sums[()]
        self._is_sparse = len(self.codes) > 1 and self._in_all > _SPARSE * total
        self.is_few = self.is_few or total <= _FEW
        return total

    def _wanted_codes(self, query: DeliveriesQuery) -> dict[str, tuple[int, ...]]:
        wanted = {
            each: tuple(dict.fromkeys(getattr(query, each.parameter)))
            for each in DELIVERIES.filters
            if each.parameter and getattr(query, each.parameter)
        }
        names = [(each.column, value) for each, values in wanted.items() if not each.values for value in values]
        codes = find_codes(self._db, self.tenant_id, names) if names and self.tenant_id else {}
        return {
            each.column: tuple(
                code
                for value in values
                if (code := each.code(value) if each.values else codes.get((each.column, value))) is not None
            )
            for each, values in wanted.items()
        }

    def _add(self, column: str, wanted: Sequence[int]) -> None:
        if wanted:
            names = [f"{column}{n}" for n in range(len(wanted))]
            self.values |= dict(zip(names, wanted, strict=True))
            values = ", ".join(f":{name}" for name in names)
            self._conditions[column] = f"= {values}" if len(names) == 1 else f"IN ({values})"

    def _add_series(self, wanted: Mapping[str, Sequence[str]]) -> None:
        selects = []
        for column, ids in wanted.items():
            if ids:
                names = [f"{column}{n}" for n in range(len(ids))]
                self.values |= dict(zip(names, ids, strict=True))
                selects.append(_SERIES.format(column=column, values=", ".join(f":{name}" for name in names)))
        if selects:
            self._conditions["series_id"] = f"IN ({' INTERSECT '.join(selects)})"

    def _pairs(self, by: Sequence[Filter]) -> Pairs | None:
        """Return the counts that are to be summed up; None if there are no such counts."""
        sides: dict[Filter, tuple[int, ...] | Filter] = {}
        for each in DELIVERIES.filters:
            if each in by:
                if each.column in self.codes:
                    return None
                sides[each] = each
            elif each.column in self.codes:
                sides[each] = tuple(DELIVERIES.term(each, code) for code in self.codes[each.column])
        filters = list(sides)
        is_counted = len(filters) < 2 or (len(filters) == 2 and filters[0].is_paired_with(filters[1]))
        if self._needle or not self._conditions.keys() <= self.codes.keys() or not is_counted:
            return None
        return Pairs(*(*sides.values(), (0,), (0,))[:2])

    @property
    def _lead(self) -> str | None:
        """Return the column whose index is used; _SEARCH for the index of texts, None for that of times."""
        if self._is_indexed and self.is_few:
            return _SEARCH
        usable = (
            name
            for name in _MOST_SELECTIVE_FIRST
            if name in self._conditions
            and (self.is_few or name in ("transaction_hash", "series_id") or self._conditions[name][0] == "=")
        )
        return next(usable, None)

    def _by_time(self, condition: str) -> str:
        """Return the condition on a column of the index of time, which is looked up there."""
        return self._db.by_entry(MAIN, f"{MAIN}_{_TIME}", ("tenant_id", "ticks", "clock_and_node"), condition)

    def _fetch(self, sums: Sums, by: Sequence[Filter], left: Sequence[Range], whole: Range) -> None:
        """Add the deliveries of what is left of a range to `sums`, and the recent ones of the whole range."""
        columns = ", ".join(each.column for each in by)
        there = "".join(f" AND {each.column} IS NOT NULL" for each in by)
        values, selects = dict(self.values), []
        for n, (table, each) in enumerate([*((MAIN, each) for each in left), (RECENT, whole)]):
            values |= {f"low{n}": each.begin * TICKS_PER_MS, f"high{n}": each.end * TICKS_PER_MS}
            limits = f"ticks >= :low{n} AND ticks < :high{n}"
            selects.append(f"SELECT {columns} FROM {self.source(table, _TIME)} AND {limits}{there}")
        sums.update(rows(self._db, " UNION ALL ".join(selects), **values))

    def _count_rows(
        self,
        sums: list[Sums],
        by: Sequence[Filter],
        ranges: Mapping[str, Sequence[tuple[int, Range]]],
        lead: str | None,
        *,
        are_joined: bool,
    ) -> None:
        """Add to `sums` the deliveries of ranges of each table, one by one; a range has the number of its sum.

        `are_joined`: their codes of the filter `by` are fetched as one text for each range. What is grouped SQLite
        copies and sorts: 29,000 by outcome took 9 ms instead of 3.
        """
        values, selects = dict(self.values), []
        found = joined_integers(self._db, by[0].column) if are_joined else "count(*)"
        there = "".join(f" AND {each.column} IS NOT NULL" for each in by)
        columns = "".join(f", {each.column}" for each in by)
        for table, its_ranges in ranges.items():
            source = f"{self.source(table, lead)}{there}"
            limits = [(n, each.begin * TICKS_PER_MS, each.end * TICKS_PER_MS) for n, each in its_ranges]
            if by or len(limits) > _MOST_SELECTS:
                values[table] = self._db.param_value(_PARAM, limits)
                param = self._db.param_table(_PARAM).replace(":param", f":{table}")
                within = f"{source} AND ticks >= low AND ticks < high"
                if are_joined or (self._db.sorts_groups and not by):  # PostgreSQL would search for a text each time
                    selects.append(f"SELECT n, (SELECT {found} FROM {within}) FROM {param}")
                else:
                    selects.append(f"SELECT n{columns}, count(*) FROM {param} CROSS JOIN {within} GROUP BY n{columns}")
                continue
            # The usual total: without GROUP BY it takes a third of the time, as SQLite would copy what it groups.
            for n, low, high in limits:
                of = f"{table}_{len(selects)}"
                values |= {f"{of}_low": low, f"{of}_high": high}
                selects.append(f"SELECT {n}, count(*) FROM {source} AND ticks >= :{of}_low AND ticks < :{of}_high")
        for n, *codes, counted in rows(self._db, " UNION ALL ".join(selects), **values) if selects else ():
            if counted and are_joined:
                sums[n].update({(code,): count for code, count in Counter(integers(counted)).items()})
            elif counted:
                sums[n][tuple(codes)] += counted
