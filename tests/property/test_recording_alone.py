"""A single item is recorded with the same result, whether one statement may do or a transaction does it."""

from collections.abc import Sequence
from itertools import count
from typing import Any
from unittest.mock import patch

from hypothesis import example, given
from hypothesis import strategies as st

from notifhist.config import MS_PER_DAY
from notifhist.errors import ItemConflict
from notifhist.schemas.document import Document
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.query import CheckPath
from notifhist.store.database import Database
from notifhist.store.database.sql import rows
from notifhist.store.history.items import ITEM_RECORDER
from notifhist.store.recording import record
from tests.conftest import NOW_MS
from tests.http.helpers import item_at

OLDEST_MS = NOW_MS - 30 * MS_PER_DAY
AGES_MS = (0, MS_PER_DAY, 60 * MS_PER_DAY, NOW_MS)
"""Now, yesterday, expired, and of a week that has no partition."""
ITEMS = st.builds(
    item_at,
    st.sampled_from(AGES_MS).map(lambda age_ms: NOW_MS - age_ms),
    st.integers(0, 1),
    n=st.sampled_from([1, 1.0, 2, True, None, "\0", "\ud7ff\U0001f600", "x" * 100_000]),
)


def result_of(db: Database, check: CheckPath, item: Document, skip_conflicts: bool) -> Any:
    """Record an item; return the result with the conflicts' names, or the conflict's message."""
    draft = ITEM_RECORDER.draft(check, item, NOW_MS * TICKS_PER_MS)
    try:
        recorded = record(db, [draft], NOW_MS * TICKS_PER_MS, OLDEST_MS, skip_conflicts=skip_conflicts)
    except ItemConflict as conflict:
        return conflict.message, conflict.details
    return list(recorded.documents), recorded.created, [each.name for each in recorded.conflicts]


def stored(db: Database, check: CheckPath) -> list[Any]:
    """Return all columns of the tenant's items."""
    texts = f"{db.text_of('document')}, {db.text_of('xml')}, xml_version"
    return rows(
        db,
        f"""SELECT ticks, clock_and_node, {texts} FROM history_item
        JOIN tenant ON tenant.id = series_id >> 32 WHERE name = :tenant ORDER BY ticks, clock_and_node""",
        tenant=check.tenant,
    )


def test_an_item_alone_is_recorded_as_ever(db: Database) -> None:
    numbers = count()

    @given(items=st.lists(ITEMS, min_size=1, max_size=8), skip_conflicts=st.booleans())
    @example(items=[item_at(NOW_MS, 0, n=n) for n in (1, 1, 1.0, 2)], skip_conflicts=False)
    @example(items=[item_at(NOW_MS - age_ms, n) for n in range(2) for age_ms in AGES_MS], skip_conflicts=True)
    def check(items: Sequence[Document], skip_conflicts: bool) -> None:
        number = next(numbers)
        alone, usual = (CheckPath(f"{way}-{number}", "e", "a", "c") for way in ("alone", "usual"))
        for item in items:
            result = result_of(db, alone, item, skip_conflicts)
            with patch.object(type(ITEM_RECORDER), "store_alone", lambda *_: False):
                assert result == result_of(db, usual, item, skip_conflicts)
        assert stored(db, alone) == stored(db, usual)

    check()
