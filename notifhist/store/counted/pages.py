"""Pages by number of a counted table: how many records there are in all, where a page begins, and the page."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from notifhist.schemas.instants import MAX_INSTANT, MIN_INSTANT
from notifhist.schemas.query import PageQuery
from notifhist.serializers.lines import split_lines
from notifhist.serializers.stored import BETWEEN_LINES, StoredForm, StoredPage, encoded
from notifhist.store.counted.table import CountedTable
from notifhist.store.counted.totals import Totals
from notifhist.store.database import TRIGRAM, Database
from notifhist.store.database.sql import rows
from notifhist.store.pieces import Piece, read_pieces
from notifhist.store.tenants import TENANT_ID, find_tenant

_SKIP_BY_COUNTS_ABOVE = 1000
"""Up to this many records before a page are skipped one by one; a deeper page is found by the counts."""
_SORT_BELOW = 2000
"""Up to this many matches are fetched by a filter and sorted; for more, the index of dates is scanned."""
_NONE = StoredPage(StoredForm.JSON, ())
_SEARCH = "search"
_FTS_CONFUSES = frozenset("\ufffd\ufffe\uffff")
"""SQLite's trigram index takes these characters for each other."""
_ALWAYS = (MIN_INSTANT, MAX_INSTANT + 1)


@dataclass(frozen=True)
class RecordsPage:
    """A page of records and how many there are in all."""

    records: StoredPage
    total: int


def list_records(db: Database, table: CountedTable, query: PageQuery, *, to_render: bool = False) -> RecordsPage:
    """Return one page of a tenant's records and the exact total, both of the same moment.

    The records are one piece; with `to_render`, each is one. With dates and up to two filters the cost does not grow
    with the number of records. The records of any other query are counted and skipped one by one.
    """
    begin = _ALWAYS[0] if query.from_ms is None else query.from_ms
    end = _ALWAYS[1] if query.until_ms is None else query.until_ms + 1
    with db.reading():
        skipped = query.page * query.page_size
        is_deep = skipped > _SKIP_BY_COUNTS_ABOVE
        wanted = _Selection(db, table, query, begin, end, is_deep=is_deep)
        first = 0
        if wanted.totals is not None:
            first = 0 if query.from_ms is None else wanted.before(wanted.totals, begin)
            last = wanted.totals.total if query.until_ms is None else wanted.before(wanted.totals, end)
            total = last - first
        else:
            total = wanted.count(begin, end)
        if skipped >= total:
            return RecordsPage(_NONE, max(total, 0))  # negative if the dates are in the wrong order
        limit = min(query.page_size, total - skipped)
        if is_deep and wanted.totals is not None:
            position = wanted.totals.find(first + (total - 1 - skipped if query.descending else skipped))
            if query.descending:
                end, skipped = position.end, position.size - 1 - position.skipped
            else:
                begin, skipped = position.begin, position.skipped
        are_few = wanted.are_few or total <= _SORT_BELOW
        return RecordsPage(wanted.read(begin, end, skipped, limit, are_few, to_render), total)


@dataclass(frozen=True)
class _Shape:
    """The parts of a query that decide its SQL text; the values are parameters."""

    codes: tuple[tuple[str, int], ...]
    """The columns that are filtered by, each with the number of values."""
    indexed: tuple[str, ...]
    """Those of them that have no counts but an index, the most selective first."""
    search_characters: int
    """The length of the searched text, up to TRIGRAM; less than that if no index can find it."""


class _Selection:
    """The records that a query asks for, whatever their date. Times: from `begin` to before `end`, ms."""

    def __init__(
        self, db: Database, table: CountedTable, query: PageQuery, begin: int, end: int, *, is_deep: bool
    ) -> None:
        wanted = table.wanted_codes(query)
        indexed = {column: _padded(values) for column, values in table.wanted_values(query).items()}
        needle = query.search_query.casefold()
        self._db, self._table, self._query = db, table, query
        terms = None if needle or indexed else table.wanted_terms(wanted)
        self.totals: Totals | None = None
        """The totals of all dates; None if the combination has no counts."""
        if terms is not None:
            dates = [begin] if query.from_ms is not None else []
            dates += [end] if query.until_ms is not None else []
            self.totals = Totals(db, table, query.tenant, terms, dates=dates, is_deep=is_deep)
        self._shape = _Shape(
            tuple((column, len(values)) for column, values in (wanted | indexed).items()),
            tuple(indexed),
            min(len(needle), TRIGRAM if has_trigrams(needle) else TRIGRAM - 1),
        )
        self._values: dict[str, Any] = {"tenant": query.tenant, "needle": needle}
        for column, values in (wanted | indexed).items():
            self._values |= {f"{column}{n}": value for n, value in enumerate(values)}
        self._found: int | None = None
        if self._shape.search_characters == TRIGRAM:
            tenant_id = find_tenant(db, query.tenant) or 0
            self._found = db.count_found(table.name, needle, tenant_id)
            self._values |= {"tenant_id": tenant_id}
        self.are_few = self._found is not None and self._found <= _SORT_BELOW

    def before(self, totals: Totals, at_ms: int) -> int:
        """Return how many were created before `at_ms`, by the counts and the records of one bucket."""
        before, position = totals.rank(at_ms)
        return before + (self.count(position.begin, at_ms) if position is not None else 0)

    def count(self, begin: int, end: int) -> int:
        """Return how many there are, counted one by one."""
        if self._found is not None and not self._shape.codes and (begin, end) == _ALWAYS:
            return self._found
        text = _count_sql(type(self._db), self._table, self._shape, self.are_few)
        return int(rows(self._db, text, begin=begin, end=end, **self._values)[0][0])

    def read(self, begin: int, end: int, skipped: int, limit: int, are_few: bool, to_render: bool) -> StoredPage:
        """Return `limit` of them, which are there, after the first `skipped`, in the query's order.

        Raises AnswerTooLong.
        """
        query = self._query
        asked = (type(self._db), self._table, self._shape, query.descending, query.include_objects, are_few)
        text = _page_sql(*asked, BETWEEN_LINES.decode() if to_render else ",")
        values = self._values | {"begin": begin, "end": end}
        read = 0

        def read_piece(number: int, max_bytes: int | None) -> Piece | None:
            nonlocal read
            row = self._db.first_within(max_bytes, number, text, {**values, "skipped": skipped + read})
            if row is None or row[1] < number:
                return None
            read += number
            return encoded(row[0] or b""), number, read == limit

        texts, _ = read_pieces(limit, limit, read_piece)
        return StoredPage(StoredForm.JSON, split_lines(texts) if to_render else texts)


def _padded(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return 2^n values, the last one repeated: their number is part of the SQL text, of which there should be few."""
    return values + values[-1:] * ((1 << (len(values) - 1).bit_length()) - len(values))


def has_trigrams(needle: str) -> bool:
    """Say whether an index can find the text."""
    return len(needle) >= TRIGRAM and not _FTS_CONFUSES & set(needle)


@lru_cache(maxsize=512)
def _count_sql(dialect: type[Database], table: CountedTable, shape: _Shape, are_few: bool) -> str:
    return f"SELECT count(*) FROM {table.name} WHERE {_conditions(dialect, table, shape, are_few)}"


@lru_cache(maxsize=512)
def _page_sql(
    dialect: type[Database],
    table: CountedTable,
    shape: _Shape,
    descending: bool,
    whole: bool,
    are_few: bool,
    separator: str,
) -> str:
    """Return the query for the text of a piece of a page, and how many records it has."""
    document = dialect.within_share("document" if whole else "coalesce(brief, document)")
    # The index of a filter has the order of the dates within one value only. For several values all that match are
    # sorted, by expressions: else SQLite reads the index of dates, which has that order, from end to end.
    zero = " + 0" if dict(shape.codes).get(_lead(table, shape, are_few) or "", 1) > 1 else ""
    direction = " DESC" if descending else ""
    order = f"date_created{zero}{direction}, id{zero}{direction}"
    return f"""SELECT {dialect.joined("page.text", separator)}, {dialect.count_joined("page.text")} FROM (
        SELECT {document} AS text FROM {table.name} WHERE {_conditions(dialect, table, shape, are_few)}
        ORDER BY {order} LIMIT :limit OFFSET :skipped) AS page"""


def _conditions(dialect: type[Database], table: CountedTable, shape: _Shape, are_few: bool) -> str:
    lead = _lead(table, shape, are_few)
    tenant_id = dialect.unindexed("tenant_id") if lead == _SEARCH else "tenant_id"
    conditions = [f"{tenant_id} = {TENANT_ID}", "date_created >= :begin AND date_created < :end"]
    for name, count in shape.codes:
        column = name if name == lead else dialect.unindexed(name)
        values = ", ".join(f":{name}{n}" for n in range(count))
        conditions.append(f"{column} = {values}" if count == 1 else f"{column} IN ({values})")
    if shape.search_characters == TRIGRAM:
        conditions.append(dialect.found(table.name, ":needle", ":tenant_id"))
    elif shape.search_characters:
        conditions.append(dialect.contains("search_text", ":needle"))
    return " AND ".join(conditions)


def _lead(table: CountedTable, shape: _Shape, are_few: bool) -> str | None:
    """Return the filter whose index is used; _SEARCH for the index of texts, None for the index of dates.

    By the index of a filter, records come in the order of their dates only if one value of it is wanted. Where there
    are no counts, all that match have been counted anyway: to sort them costs no more.
    """
    if are_few and shape.search_characters == TRIGRAM:
        return _SEARCH
    if shape.indexed:
        return shape.indexed[0]
    counts = dict(shape.codes)
    usable = (name for name in table.most_selective_first if name in counts and (are_few or counts[name] == 1))
    return next(usable, None)
