"""One call records records of many owners, all or none."""

import pickle
from typing import Any

import orjson
import pytest

from notifhist.errors import ApiError, ItemConflict, RunConflict
from notifhist.schemas.fields import INT64
from notifhist.schemas.query import CheckPath
from notifhist.store.database import Database
from notifhist.store.recording import Draft, Recorded
from notifhist.store.resources import RECORDERS
from tests.conftest import NOW_MS, every_row
from tests.http.helpers import item_at
from tests.records import all_items, all_runs, count_items, count_runs
from tests.recount import assert_counts_are_true
from tests.unit.drafts import ids_of, item, log, record_now, run


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
        log(5),
        log(7, "z", runId=7),
    ]


def test_items_of_several_checks_and_tenants_and_runs_are_recorded_by_one_call(db: Database) -> None:
    drafts = mixed()
    recorded = record_now(db, drafts)
    assert (recorded.created, recorded.conflicts) == (len(drafts), [])
    assert recorded.documents == [draft.document for draft in drafts]
    assert ids_of(recorded.documents) == [
        *(7, item_at(NOW_MS, 2)["id"], item_at(NOW_MS, 1)["id"], 5),
        *(item_at(NOW_MS, 1)["id"], 6, item_at(NOW_MS, 3)["id"], 7, 5, 7),
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
    assert record_now(db, []) == Recorded([], [], [])
    assert every_row(db) == before


@pytest.mark.parametrize(("rendered", "times"), [(False, 1), (True, 1), (True, 2)])
def test_drafts_may_come_from_another_process(db: Database, rendered: bool, times: int) -> None:
    drafts = mixed()
    for draft in drafts:
        if rendered:
            draft.render()
    copies: list[Draft] = drafts
    for _ in range(times):
        copies = pickle.loads(pickle.dumps(copies))
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
