"""One call records many records of many owners, all or none; of two calls at once one waits for the other."""

import pickle
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Any

import orjson
import pytest

from notifhist.errors import ApiError, ItemConflict, RunConflict
from notifhist.schemas.document import Document
from notifhist.schemas.fields import INT64, TICKS_PER_MS
from notifhist.schemas.query import CheckPath, Tenant
from notifhist.schemas.runs import RUN
from notifhist.serializers import as_xml
from notifhist.store.database import Database, Table, ensure_connected, open_database
from notifhist.store.database.sql import rows
from notifhist.store.history.items import ITEM_RECORDER
from notifhist.store.recording import Draft, Recorded, record
from notifhist.store.resources import RECORDERS
from notifhist.store.runs import RUN_RECORDER
from tests.conftest import NOW_MS, every_row
from tests.cpu import cpu_ms
from tests.http.helpers import item_at, run_of
from tests.records import all_items, all_runs, count_items, count_runs
from tests.recount import assert_counts_are_true

CHECK = CheckPath("t", "e", "a", "c")
NOW_TICKS = NOW_MS * TICKS_PER_MS
WITH_NUL = {"status": "a\0b", "n\0": {"\0": "\0"}}


def item(number: int = 0, check: CheckPath = CHECK, **members: Any) -> Draft:
    draft: Draft = ITEM_RECORDER.draft(check, item_at(NOW_MS, number, **members), NOW_TICKS)
    return draft


def run(run_id: int | None = None, tenant: str = "t", ordinal: int = 0, **members: Any) -> Draft:
    given = run_of(**members) if run_id is None else run_of(id=run_id, **members)
    draft: Draft = RUN_RECORDER.draft(Tenant(tenant), RUN.load(given), NOW_TICKS, ordinal)
    return draft


def record_now(db: Database, drafts: Sequence[Draft], **options: bool) -> Recorded:
    return record(db, drafts, NOW_TICKS, **options)


def mixed() -> list[Draft]:
    """Return records of every resource, of several checks and tenants, in no order."""
    return [
        run(7, "z", summary="of z"),
        item(2, CheckPath("z", "e", "a", "c")),
        item(1),
        run(5, summary="first"),
        item(1, CheckPath("t", "e", "a", "other")),
        run(),
        item(3, state="CRITICAL"),
        run(7, "a"),
    ]


def ids_of(documents: Sequence[str]) -> list[Any]:
    return [orjson.loads(document)["id"] for document in documents]


def test_nobody_waits_while_items_are_rendered(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    element, waiting = as_xml.element, []

    def noted(*arguments: Any) -> str:
        waiting.append(db.in_transaction())
        return element(*arguments)

    monkeypatch.setattr(as_xml, "element", noted)
    assert record_now(db, [item(n) for n in range(1200)]).created == 1200
    assert waiting == [False] * 1200


def test_items_of_several_checks_and_tenants_and_runs_are_recorded_by_one_call(db: Database) -> None:
    drafts = mixed()
    recorded = record_now(db, drafts)
    assert (recorded.created, recorded.conflicts) == (len(drafts), [])
    assert recorded.documents == [draft.document for draft in drafts]
    assert ids_of(recorded.documents) == [
        *(7, item_at(NOW_MS, 2)["id"], item_at(NOW_MS, 1)["id"], 5),
        *(item_at(NOW_MS, 1)["id"], 6, item_at(NOW_MS, 3)["id"], 7),
    ]
    stored = {(check.tenant, check.check_id, item["id"]) for check, item in all_items(db)}
    assert stored == {
        ("t", "c", item_at(NOW_MS, 1)["id"]),
        ("t", "c", item_at(NOW_MS, 3)["id"]),
        ("t", "other", item_at(NOW_MS, 1)["id"]),
        ("z", "c", item_at(NOW_MS, 2)["id"]),
    }
    assert [(tenant, document["id"]) for tenant, document in all_runs(db)] == [
        *(("a", 7), ("t", 5), ("t", 6), ("z", 7))
    ]
    for tenant in ("a", "t", "z"):
        assert_counts_are_true(db, tenant)


def test_what_is_recorded_again_stays_as_it_is(db: Database) -> None:
    first = record_now(db, [*mixed()[:5], item(9, n=1)])
    before = every_row(db)
    again = record_now(db, [*mixed()[:5], item(9, n=1.0)])
    assert (again.created, again.documents) == (0, first.documents)
    assert every_row(db) == before


@pytest.mark.parametrize(
    ("draft", "error"),
    [
        (item(1, state="WARNING"), ItemConflict),
        (run(5, summary="another"), RunConflict),
        (item(3, state="WARNING"), ItemConflict),
        (run(7, summary="another", tenant="a"), RunConflict),
    ],
    ids=["stored item", "stored run", "item of the call", "run of the call"],
)
def test_where_one_conflicts_nothing_is_recorded(db: Database, draft: Draft, error: type[ApiError]) -> None:
    record_now(db, [item(1), run(5, summary="first")])
    before = every_row(db)
    with pytest.raises(error) as raised:
        record_now(db, [*mixed(), draft])
    assert raised.value.details == f"{draft.name} is there already; PUT replaces it."
    assert every_row(db) == before
    assert not db.in_transaction()


def test_conflicts_that_are_skipped_are_returned_and_the_others_recorded(db: Database) -> None:
    record_now(db, [item(1), run(5, summary="first")])
    conflicting = [item(1, state="WARNING"), run(5, summary="another"), item(3, state="WARNING"), run(7, "a", seqNo=1)]
    recorded = record_now(db, [*conflicting[:2], *mixed(), *conflicting[2:]], skip_conflicts=True)
    assert [id(draft) for draft in recorded.conflicts] == [id(draft) for draft in conflicting]
    assert recorded.created == len(mixed()) - 2
    assert (count_items(db), count_runs(db)) == (4, 4)
    shown = dict(zip([(draft.recorder, draft.identity) for draft in mixed()], mixed(), strict=True))
    for draft, document in zip(conflicting, [*recorded.documents[:2], *recorded.documents[-2:]], strict=True):
        assert document == shown[draft.recorder, draft.identity].document
    for tenant in ("a", "t", "z"):
        assert_counts_are_true(db, tenant)


def test_equal_records_of_one_call_are_one(db: Database) -> None:
    twice = [item(1, n=1), run(5), item(1, n=1.0), run(5)]
    recorded = record_now(db, twice)
    assert (recorded.created, recorded.conflicts) == (2, [])
    assert recorded.documents == [twice[0].document, twice[1].document] * 2
    assert (count_items(db), count_runs(db)) == (1, 1)


def test_a_run_may_leave_out_what_the_stored_one_says_but_not_what_one_of_the_same_call_says(db: Database) -> None:
    said: dict[str, Any] = {
        "dateCreated": "2001-01-01T00:00:00Z",
        "dateUpdated": "2002-01-01T00:00:00Z",
        "seqNo": 3,
        "deliveredCount": 4,
    }
    whole, short = run(5, **said), run(5)
    with pytest.raises(RunConflict):
        record_now(db, [whole, short])
    assert record_now(db, [whole, run(5, **said)]).created == 1
    assert record_now(db, [short]).documents == [whole.document]
    again = record_now(db, [run(5), run(5, deliveredCount=4)])
    assert (again.created, again.documents) == (0, [whole.document] * 2)
    with pytest.raises(RunConflict):
        record_now(db, [run(6), run(6, **said)])
    with pytest.raises(RunConflict):
        record_now(db, [run(5, deliveredCount=0)])


def test_runs_without_an_id_get_consecutive_numbers_in_their_order(db: Database) -> None:
    record_now(db, [run(40), run(-1, "z")])
    drafts = [
        *(run(tenant="t", ordinal=n, summary=f"t {n}") for n in range(12)),
        run(45),
        *(run(tenant="z", ordinal=n, summary=f"z {n}") for n in range(12)),
    ]
    recorded = record_now(db, drafts)
    assert ids_of(recorded.documents) == [*range(46, 58), 45, *range(1, 13)]
    assert [orjson.loads(document).get("summary") for document in recorded.documents] == [
        *(f"t {n}" for n in range(12)),
        None,
        *(f"z {n}" for n in range(12)),
    ]
    assert [draft.name for draft in drafts] == [str(number) for number in ids_of(recorded.documents)]


@pytest.mark.parametrize(
    ("stored", "together", "numbers"),
    [
        ([INT64[1]], [None], [1]),
        ([INT64[1]], [None, None], [1, 2]),
        ([INT64[1] - 1], [None], [INT64[1]]),
        ([INT64[1] - 1], [None, None], [1, 2]),
        ([INT64[1] - 2, INT64[1]], [None], [INT64[1] - 1]),
        ([INT64[1] - 3, INT64[1]], [None, None], [INT64[1] - 2, INT64[1] - 1]),
        ([7, 9, INT64[1] - 1, INT64[1]], [None, None], [10, 11]),
        ([-5, INT64[0], INT64[1]], [None], [1]),
        ([], [None, INT64[1], None], [1, 2]),
        ([6], [INT64[1], None, None], [7, 8]),
        ([6], [INT64[1], 8, None], [9]),
        ([INT64[1]], [INT64[1], None], [1]),
    ],
)
def test_an_id_at_the_end_of_the_numbers_does_not_end_them(
    db: Database, stored: list[int], together: list[int | None], numbers: list[int]
) -> None:
    record_now(db, [run(number, "z") for number in range(1, 4)])
    if stored:
        record_now(db, [run(number) for number in stored])
    recorded = record_now(db, [run(number, ordinal=n) for n, number in enumerate(together)])
    assert [new for new, given in zip(ids_of(recorded.documents), together, strict=True) if given is None] == numbers


def test_nothing_is_recorded_of_nothing(db: Database) -> None:
    before = every_row(db)
    assert record_now(db, []) == Recorded([], 0, [])
    assert every_row(db) == before


@pytest.mark.parametrize("rendered", [False, True])
def test_drafts_may_come_from_another_process(db: Database, rendered: bool) -> None:
    drafts = mixed()
    for draft in drafts:
        if rendered:
            draft.render()
    copies: list[Draft] = pickle.loads(pickle.dumps(drafts))
    assert [copy.recorder for copy in copies] == [draft.recorder for draft in drafts]
    assert {copy.recorder for copy in copies} == set(RECORDERS.values())
    assert [copy.identity for copy in copies] == [draft.identity for draft in drafts]
    recorded = record_now(db, copies)
    assert recorded.created == len(drafts)
    before = every_row(db)
    documents = dict(zip([(draft.recorder, draft.identity) for draft in drafts], recorded.documents, strict=True))
    again = record_now(db, [draft for draft in mixed() if draft.name != "None"])
    assert again.created == 0
    assert every_row(db) == before
    for draft in mixed():
        if draft.name != "None":
            assert documents[draft.recorder, draft.identity] == draft.document


def many(number: int, **members: Any) -> list[Document]:
    return [item_at(NOW_MS + n // 2, n, **members) for n in range(number)]


def drafts_of(items: Sequence[Document], check: CheckPath = CHECK) -> list[Draft]:
    return [ITEM_RECORDER.draft(check, item, NOW_TICKS) for item in items]


def test_many_items_are_recorded_once_whatever_is_there(db: Database) -> None:
    """More than are inserted at once: on PostgreSQL each batch is copied, the last one is not."""
    items, other = many(2300), CheckPath("z", "e", "a", "c")
    record_now(db, drafts_of(items[100:1200:100]))
    for created in (2300 - 11 + 700, 0):
        recorded = record_now(db, [*drafts_of(items), *drafts_of(items[:700], other)])
        assert recorded.created == created
        assert ids_of(recorded.documents) == [item["id"] for item in (*items, *items[:700])]
        assert [item for check, item in all_items(db) if check == CHECK] == items
        assert [item for check, item in all_items(db) if check == other] == items[:700]


def test_all_records_are_read_however_many_there_are(db: Database) -> None:
    items = many(1201)
    ids = [INT64[0], *range(-700, 700), *INT64[1:]]
    record_now(db, [*drafts_of(items), *(run(n) for n in ids), *drafts_of(items[:500], CheckPath("z", "e", "a", "c"))])
    record_now(db, [run(n, "z") for n in range(500)])
    assert [(check.tenant, item) for check, item in all_items(db)] == [
        *(("t", item) for item in items),
        *(("z", item) for item in items[:500]),
    ]
    assert [(tenant, document["id"]) for tenant, document in all_runs(db)] == [
        *(("t", n) for n in ids),
        *(("z", n) for n in range(500)),
    ]
    assert (count_items(db), count_runs(db)) == (1701, len(ids) + 500)


def test_a_conflict_in_a_later_batch_undoes_the_earlier_ones(db: Database) -> None:
    items = many(2100)
    record_now(db, drafts_of([{**items[-1], "state": "WARNING"}]))
    before = every_row(db)
    with pytest.raises(ItemConflict, match=items[-1]["id"]):
        record_now(db, [*drafts_of(items), *drafts_of(items[:600], CheckPath("new", "e", "a", "c"))])
    assert every_row(db) == before


@pytest.mark.parametrize("number", [1, 600])
def test_an_item_may_have_u_0000(db: Database, number: int) -> None:
    items = many(number, **WITH_NUL)
    for created in (number, 0):
        recorded = record_now(db, drafts_of(items))
        assert recorded.created == created
        assert [orjson.loads(document) for document in recorded.documents] == items
    assert [item for _, item in all_items(db)] == items


def test_items_are_inserted_in_the_order_of_their_keys(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    inserted: list[tuple[Any, ...]] = []
    insert = type(db).insert_missing

    def insert_missing(self: Any, table: Table, given: Sequence[Sequence[Any]]) -> set[tuple[Any, ...]]:
        inserted.extend(tuple(row[:3]) for row in given)
        return insert(self, table, given)

    monkeypatch.setattr(type(db), "insert_missing", insert_missing)
    items = [item_at(NOW_MS + n * 7919 % 500) for n in range(500)]
    record_now(db, drafts_of(items))
    assert len(inserted) == 500
    assert inserted == sorted(inserted)

    again = list(inserted)
    inserted.clear()
    record_now(db, drafts_of(items[::-1]))
    assert inserted == again


# Several calls at once.


def opened(url: str) -> Database:
    database = open_database(url)
    ensure_connected(database)
    return database


def record_elsewhere(url: str, drafts: Sequence[Draft]) -> Recorded:
    database = opened(url)
    try:
        return record_now(database, drafts)
    finally:
        database.close()


def test_calls_with_the_same_records_in_opposite_order_all_succeed(database_url: str, db: Database) -> None:
    tenants = [f"tenant {n}" for n in range(6)]
    rounds, senders = 8, 3
    together = threading.Barrier(senders, timeout=60)

    def drafts(number: int) -> list[Draft]:
        of_tenants = [
            draft
            for tenant in tenants
            for n in range(3)
            for draft in (
                item(n, CheckPath(tenant, "e", "a", f"{number}")),
                item(number, CheckPath(tenant, "e", "a", "all")),
                run(number * 10 + n, tenant),
            )
        ]
        return of_tenants

    def send(sender: int) -> list[int]:
        database = opened(database_url)
        created = []
        try:
            for number in range(rounds):
                ordered = drafts(number)
                match sender:
                    case 1:
                        ordered.reverse()
                    case 2:  # alone, so it locks no more than it must
                        ordered = [draft for draft in ordered if draft.owner.tenant == tenants[number % 6]]
                together.wait()
                created.append(record_now(database, ordered).created)
        finally:
            database.close()
        return created

    with ThreadPoolExecutor(senders) as pool:
        created = list(pool.map(send, range(senders)))
    of_round = len({(draft.recorder, draft.identity) for draft in drafts(0)})
    assert [sum(numbers) for numbers in zip(*created, strict=True)] == [of_round] * rounds
    assert (count_items(db), count_runs(db)) == (rounds * 6 * 4, rounds * 6 * 3)
    for tenant in tenants:
        assert_counts_are_true(db, tenant)


@contextmanager
def locked(url: str, name: str) -> Iterator[None]:
    """Hold the lock of a name meanwhile."""
    database = opened(url)
    with database.writing():
        database.lock_name(name)
        yield
    database.close()


def wait_for(db: Database, waiting: int, *calls: Future[Recorded]) -> None:
    """Return once so many transactions wait for the lock of a name, or all of the calls are done."""

    def number() -> int:
        return int(rows(db, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")[0][0])

    deadline = time.monotonic() + 30
    while number() < waiting and not all(call.done() for call in calls):
        assert time.monotonic() < deadline
        time.sleep(0.01)


Make = Callable[[], list[Draft]]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        # The second one has a row of the first one's before it waits for the tenant's name.
        ("t", lambda: [item(0, CheckPath("t", "e", "a", "new")), item(1)], lambda: [item(1), run(1)]),
        # The name of a tenant is no other lock's.
        ("tenants", lambda: [run(1, "tenants"), run(1, "z")], lambda: [run(2, "z")]),
    ],
    ids=["items and runs", "a tenant named after a lock"],
)
def test_of_two_calls_that_wait_none_waits_for_the_other(
    database_url: str, db: Database, name: str, first: Make, second: Make
) -> None:
    record_now(db, [item(5)])  # there is the series of CHECK, so that its items need no lock of the name
    with ThreadPoolExecutor(2) as pool:
        with locked(database_url, name):
            one = pool.submit(record_elsewhere, database_url, first())
            wait_for(db, 1, one)
            other = pool.submit(record_elsewhere, database_url, second())
            wait_for(db, 2, other)
        assert one.result(timeout=30).created + other.result(timeout=30).created == 3


def test_a_very_long_item_does_not_slow_those_beside_it(db: Database) -> None:
    def record_some(thousand: int) -> float:
        numbers = count()
        some = [[item(1000 * thousand + next(numbers)) for _ in range(200)] for _ in range(3)]
        return cpu_ms(lambda: record(db, some.pop(), NOW_TICKS, None))

    alone = record_some(thousand=1)
    record(db, [item(2 * 1000 - 1, status="x" * 8_000_000)], NOW_TICKS, None)
    assert record_some(thousand=2) < 4 * alone  # some 100 times as long while a key was compared with whole items
