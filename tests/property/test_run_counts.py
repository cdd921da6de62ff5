"""Totals and pages of runs against a model in memory, where few runs fill a bucket and a short way is a deep one."""

import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import orjson
import pytest
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from notifhist.errors import RunConflict
from notifhist.schemas.instants import MAX_INSTANT, MIN_INSTANT
from notifhist.schemas.query import RunsQuery
from notifhist.schemas.runs import FAILED_REASONS, IGNORED_REASONS, MEDIUMS, NOTIFICATION_TYPES, STATUSES
from notifhist.store.counted import counts, pages
from notifhist.store.database import Database, ensure_connected
from notifhist.store.runs import RUN_RECORDER
from tests.conftest import NOW_MS
from tests.property.strategies import examples
from tests.records import list_runs, record_runs, runs_of
from tests.recount import assert_counts_are_true

Run = dict[str, Any]

_EDGES = (-1, 0, *(sign * 2**bits for bits in (4, 20, 32, 44) for sign in (1, -1)), NOW_MS)
DATES = st.one_of(
    st.sampled_from((NOW_MS, NOW_MS, NOW_MS + 1, NOW_MS + 16, MIN_INSTANT, MAX_INSTANT)),
    st.builds(lambda edge, ms: edge + ms, st.sampled_from(_EDGES), st.integers(-17, 17)),
    st.integers(0, 40).map(lambda ms: MIN_INSTANT + ms),
    st.integers(0, 40).map(lambda ms: MAX_INSTANT - ms),
)
"""Many of one millisecond, and many at the first and last milliseconds of buckets of every size."""
PIECES = ('"', "'", "%", "_", "\\", "a", "A", "ab", "B", "ß", "SS", "é", "E\u0301", "🚨", "\U00010400", " ", "*")
TEXTS = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
NEEDLES = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map(lambda pieces: "".join(pieces)[:5])
Part = tuple[int, int, int, Callable[[str], str]]
PARTS = st.tuples(
    st.integers(0, 999), st.integers(0, 9), st.integers(1, 5), st.sampled_from((str, str.upper, str.swapcase))
)
"""Which text, from where, how long, and how it is written."""
OBJECTS = st.lists(
    st.fixed_dictionaries({"id": st.just(1), "name": TEXTS, "type": st.just("ENTITY")}, optional={"tag": TEXTS}),
    max_size=2,
)
VALUES = {
    "notification_type": (*NOTIFICATION_TYPES[:2], NOTIFICATION_TYPES[-1]),
    "status": STATUSES,
    "medium": MEDIUMS,
    "ignored_reason": IGNORED_REASONS,
    "failed_reason": FAILED_REASONS,
}
FILTERS = dict(
    zip(("notification_types", "statuses", "mediums", "ignored_reasons", "failed_reasons"), VALUES, strict=True)
)
CONTENTS: st.SearchStrategy[Run] = st.fixed_dictionaries(
    {
        "date_created": DATES,
        **{name: st.sampled_from(VALUES[name]) for name in ("notification_type", "status", "medium")},
    },
    optional={
        **{name: st.sampled_from(VALUES[name]) for name in ("ignored_reason", "failed_reason")},
        "error_message": TEXTS,
        "summary": TEXTS,
        "notification_objects": OBJECTS,
    },
)


@st.composite
def queries(draw: st.DrawFn) -> RunsQuery:
    """Queries with none to three filters; few search, since little is found then."""
    names = draw(st.lists(st.sampled_from(sorted(FILTERS)), max_size=3, unique=True))
    lists = {name: draw(st.lists(st.sampled_from(VALUES[FILTERS[name]]), min_size=1, max_size=3)) for name in names}
    return RunsQuery(
        "",
        **{name: tuple(values) for name, values in lists.items()},
        search_query=draw(st.one_of(st.just(""), st.just(""), NEEDLES)),
        include_objects=draw(st.booleans()),
        from_ms=draw(st.none() | DATES),
        until_ms=draw(st.none() | DATES),
        page_size=draw(st.sampled_from((1, 2, 3, 7, 1000))),
        page=draw(st.sampled_from((0, 1, 2, 3, 5, 8))),
        descending=draw(st.booleans()),
    )


def texts_of(run: Run) -> list[str]:
    texts = [run.get("error_message"), run.get("summary")]
    for about in run.get("notification_objects", ()):
        texts += [about["name"], about.get("tag")]
    return [text for text in texts if text]


def is_asked_for(run: Run, query: RunsQuery) -> bool:
    needle = query.search_query.casefold()
    return (
        all(run.get(member) in getattr(query, name) for name, member in FILTERS.items() if getattr(query, name))
        and (query.from_ms is None or query.from_ms <= run["date_created"])
        and (query.until_ms is None or run["date_created"] <= query.until_ms)
        and (not needle or any(needle in text.casefold() for text in texts_of(run)))
    )


class InVain(Exception):
    """Undoes a transaction."""


class Runs(RuleBasedStateMachine):
    """A tenant's runs and the model of them: each by its id, as it was given."""

    def __init__(self, db: Database, tenant: str) -> None:
        super().__init__()
        self.db, self.tenant = db, tenant
        self.runs: dict[int, Run] = {}
        self.texts: set[str] = set()

    def record(self, given: list[Run]) -> dict[int, Run]:
        """Record runs, all of them new; return them by their ids."""
        self.texts.update(text for run in given for text in texts_of(run))
        recorded = record_runs(self.db, self.tenant, given, NOW_MS)
        assert (recorded.created, recorded.conflicts) == (len(given), [])
        ids = [orjson.loads(document)["id"] for document in recorded.documents]
        return dict(zip(ids, given, strict=True))

    @rule(contents=st.lists(CONTENTS, min_size=1, max_size=8))
    def record_some(self, contents: list[Run]) -> None:
        self.runs |= self.record(contents)

    @rule(content=CONTENTS, date=DATES, number=st.integers(4, 9), every=st.sampled_from((0, 1, 15, 16, 2**30)))
    def record_a_burst(self, content: Run, date: int, number: int, every: int) -> None:
        dates = (min(date + n * every, MAX_INSTANT) for n in range(number))
        self.runs |= self.record([{**content, "date_created": each} for each in dates])

    @rule(contents=st.lists(CONTENTS, min_size=1, max_size=8))
    def record_in_vain(self, contents: list[Run]) -> None:
        def record_and_fail() -> None:
            with self.db.writing():
                self.record(contents)
                raise InVain

        with pytest.raises(InVain):
            record_and_fail()

    @rule(number=st.integers(0, 999), content=CONTENTS)
    def record_again(self, number: int, content: Run) -> None:
        if not self.runs:
            return
        run_id = self.known_id(number)
        again = {**self.runs[run_id], "id": run_id}
        assert record_runs(self.db, self.tenant, [again, again], NOW_MS).created == 0
        other = {**content, "id": run_id, "seq_no": 1}
        with pytest.raises(RunConflict):
            record_runs(self.db, self.tenant, [{**content, "id": -1}, other], NOW_MS)

    @rule(number=st.integers(0, 999), content=CONTENTS)
    def replace(self, number: int, content: Run) -> None:
        run_id = self.known_id(number) if self.runs else number
        created = RUN_RECORDER.replace(self.db, self.tenant, {**content, "id": run_id}, NOW_MS)[1]
        assert created == (run_id not in self.runs)
        self.runs[run_id] = content

    @rule(number=st.integers(0, 999), date=DATES)
    def move(self, number: int, date: int) -> None:
        if self.runs:
            self.replace(number, {**self.runs[self.known_id(number)], "date_created": date})

    def known_id(self, number: int) -> int:
        return sorted(self.runs)[number % len(self.runs)]

    @rule(several=st.lists(queries(), min_size=5, max_size=12))
    def ask(self, several: list[RunsQuery]) -> None:
        for query in several:
            found = sorted(
                (run["date_created"], run_id) for run_id, run in self.runs.items() if is_asked_for(run, query)
            )
            if query.descending:
                found.reverse()
            start = query.page * query.page_size
            ids = [run_id for _, run_id in found[start : start + query.page_size]]
            page = list_runs(self.db, replace(query, tenant=self.tenant))
            note(f"{query} -> {page.total}")
            documents = runs_of(page)
            assert (page.total, [run["id"] for run in documents]) == (len(found), ids)
            with_objects = [run_id for run_id in ids if self.runs[run_id].get("notification_objects")]
            shown = [run["id"] for run in documents if "notificationObjects" in run]
            assert shown == (with_objects if query.include_objects else [])

    @rule(parts=st.lists(PARTS, min_size=5, max_size=12), query=queries())
    def search(self, parts: list[Part], query: RunsQuery) -> None:
        """Search for parts of texts that are recorded, or were before they were replaced or undone."""
        if texts := sorted(self.texts):
            needles = []
            for number, start, length, written in parts:
                text = texts[number % len(texts)]
                needles.append(written(text[start % len(text) :][:length]))
            self.ask([RunsQuery("", search_query=needle, page_size=1000) for needle in needles])
            self.ask([replace(query, search_query=needles[0])])

    @rule()
    def recount(self) -> None:
        assert_counts_are_true(self.db, self.tenant)

    def teardown(self) -> None:
        self.recount()


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "SPLIT_ABOVE", 3)
    monkeypatch.setattr(pages, "_SKIP_BY_COUNTS_ABOVE", 2)
    monkeypatch.setattr(pages, "_SORT_BELOW", 2)


def test_totals_and_pages_are_the_models(db: Database) -> None:
    numbers = count(1)

    class NewTenants(Runs):
        def __init__(self) -> None:
            super().__init__(db, f"counted-{next(numbers)}")

    run_state_machine_as_test(NewTenants, settings=settings(examples(0.4), stateful_step_count=25))


def test_two_senders_at_once_are_both_counted(db: Database) -> None:
    errors: list[BaseException] = []

    def send(sender: int) -> None:
        try:
            ensure_connected(db)
            for n in range(20):
                at = NOW_MS + n % 3 * 2**20
                content = {"notification_type": "WEEKLY_REPORT", "medium": MEDIUMS[sender], "status": STATUSES[n % 5]}
                own = {**content, "id": -(sender * 1000 + n), "date_created": at}
                record_runs(db, "t", [{**content, "date_created": at + 1}, own], NOW_MS)
                RUN_RECORDER.replace(db, "t", {**own, "date_created": at + 2**30, "status": "FAILED"}, NOW_MS)
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            errors.append(error)
        finally:
            db.close()

    senders = [threading.Thread(target=send, args=(sender,)) for sender in range(2)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert errors == []
    assert list_runs(db, RunsQuery("t")).total == 80
    assert list_runs(db, RunsQuery("t", mediums=(MEDIUMS[1],))).total == 40
    assert list_runs(db, RunsQuery("t", statuses=("FAILED",), mediums=(MEDIUMS[0],))).total == 24
    assert_counts_are_true(db, "t")
