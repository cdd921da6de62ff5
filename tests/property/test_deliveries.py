"""The deliveries against a model in memory, whatever is recorded, replaced or deleted, where few are many."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from notifhist.clock import Clock
from notifhist.errors import ApiError, ItemConflict, NotFound, ParentNotFound, PreconditionFailed
from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.schemas.document import Document
from notifhist.schemas.fields import MAX_TIMESTAMP, TICKS_PER_MS
from notifhist.schemas.item_ids import ItemKey, id_of, key_of
from notifhist.schemas.query import CheckPath
from notifhist.schemas.resources import ITEM_RESOURCE
from notifhist.serializers import as_json
from notifhist.serializers.stored import StoredDocument
from notifhist.store.counted import counts, cut, ranges
from notifhist.store.database import Database
from notifhist.store.deliveries import names, reading, recording, selection
from notifhist.store.deliveries import purge as delivery_purge
from notifhist.store.history.items import ITEM_RECORDER
from notifhist.store.history.recording import add_attempt, delete_item, replace_item
from notifhist.store.purge import purge
from notifhist.store.recording import Precondition, record
from notifhist.store.tenants import find_tenant
from notifhist.transfer.load import Loader, Source
from tests.conftest import NOW_MS
from tests.delivery_rows import assert_every_delivery_is_right
from tests.property.deliveries import CONTENTS, GIVEN, IDS, PLACES, TEXTS, TIMES, Given, Model, Place, item_of, queries
from tests.property.deliveries_asked import assert_answered, assert_summed_up
from tests.property.strategies import examples
from tests.recount import assert_counts_are_true

Part = tuple[int, int, int, Callable[[str], str]]
PARTS = st.tuples(
    st.integers(0, 999), st.integers(0, 9), st.integers(1, 5), st.sampled_from((str, str.upper, str.swapcase))
)
"""Which text, from where, how long, and how it is written."""


class Deliveries(RuleBasedStateMachine):
    """The items of two tenants, and the model of their deliveries."""

    def __init__(self, db: Database, number: int, folder: Path) -> None:
        super().__init__()
        self.db, self.folder, self.model = db, folder, Model()
        self.tenants = f"{number}-a", f"{number}-b"
        self.oldest_ms: int | None = None

    def check(self, place: Place) -> CheckPath:
        tenant, *ids = place
        return CheckPath(self.tenants[tenant], *ids)

    def placed(self, records: list[Given]) -> list[tuple[CheckPath, Document]]:
        return [(self.check(place), item_of(item_id, content)) for place, item_id, content in records]

    def some_item(self, number: int) -> tuple[CheckPath, str]:
        places = list(self.model.items)  # not sorted: each run has other tenants
        return places[number % len(places)]

    def is_shown(self, item_id: str) -> bool:
        return self.oldest_ms is None or key_of(item_id).timestamp >= self.oldest_ms

    # What changes them.

    def record(self, records: Sequence[tuple[CheckPath, Document]]) -> None:
        drafts = [ITEM_RECORDER.draft(check, item, 0) for check, item in records]
        call = partial(record, self.db, drafts, 0, self.oldest_ms)
        if self.model.contradict(records):
            with pytest.raises(ItemConflict):
                call()
            return
        new = {(check, item["id"]) for check, item in records} - self.model.items.keys()
        assert call().created == len(new)
        for check, item in records:
            self.model.store(check, item)

    @initialize(records=st.lists(GIVEN, min_size=4, max_size=16))
    def record_many(self, records: list[Given]) -> None:
        agreeing = {(place, item_id): item_of(item_id, content) for place, item_id, content in records}
        self.record([(self.check(place), item) for (place, _), item in agreeing.items()])

    @rule(place=PLACES, item_id=IDS, content=CONTENTS)
    def record_one(self, place: Place, item_id: str, content: Document) -> None:
        self.record([(self.check(place), item_of(item_id, content))])

    @rule(records=st.lists(GIVEN, max_size=6), known=st.lists(st.integers(0, 999), max_size=3))
    def record_some(self, records: list[Given], known: list[int]) -> None:
        """Record new ones and known ones; often one contradicts another, and undoes all."""
        given = self.placed(records)
        if self.model.items:
            again = [self.some_item(number) for number in known]
            given[1:1] = [(check, self.model.items[check, item_id]) for check, item_id in again]
        self.record(given)

    @rule(place=PLACES, content=CONTENTS, every=st.sampled_from((1, 249, 250, 4_000, 60_000, 86_400_000)))
    def record_a_burst(self, place: Place, content: Document, every: int) -> None:
        ids = [id_of(ItemKey((NOW_MS + n * every) * TICKS_PER_MS + 2, -(2**63))) for n in range(7)]
        check = self.check(place)
        self.record([(check, item_of(item_id, content)) for item_id in ids if (check, item_id) not in self.model.items])

    @rule(number=st.integers(0, 999), place=PLACES, new_id=IDS, content=CONTENTS, name=st.integers(0, 99))
    def contradict(self, number: int, place: Place, new_id: str, content: Document, name: int) -> None:
        """Record something new, with new names, together with a conflict."""
        if self.model.items:
            check, item_id = self.some_item(number)
            other = item_of(item_id, {**content, "status": "unlike any other"})
            new = item_of(new_id, {**content, "state": f"never there {name}"})
            self.record([(self.check(place), new), (check, other)])

    @rule(records=st.lists(GIVEN, max_size=5), number=st.integers(0, 999), skip=st.booleans())
    def load(self, records: list[Given], number: int, skip: bool) -> None:
        given = self.placed(records)
        if self.model.items:
            check, item_id = self.some_item(number)
            given.insert(1, (check, self.model.items[check, item_id]))
        path = self.folder / "items.ndjson"
        lines = (as_json.render({**vars(check), "item": item}, ITEM_RESOURCE.line) for check, item in given)
        path.write_bytes(b"\n".join(lines))
        loader = Loader(self.db, Clock(NOW_MS))
        loader.load(Source(path, None), skip_bad=skip)
        bad = self.model.contradict(given)
        assert len(loader.bad) == len(bad)
        if skip or not bad:
            good = [each for each in given if each not in bad]
            assert loader.stored == len({(check, item["id"]) for check, item in good} - self.model.items.keys())
            for check, item in good:
                self.model.store(check, item)

    def precondition(self, check: CheckPath, item_id: str, what: str) -> Precondition | None:
        """Return a precondition that compares what it is asked about with the model; it fails if `what` says so."""

        def asked(stored: StoredDocument | None) -> None:
            item = self.model.items.get((check, item_id)) if self.is_shown(item_id) else None
            assert (stored and orjson.loads(stored.text)) == item
            if what == "fails":
                raise PreconditionFailed

        return None if what == "none" else asked

    @rule(
        number=st.integers(0, 999),
        new=st.none() | st.tuples(PLACES, IDS),
        content=CONTENTS,
        what=st.sampled_from(("none", "none", "holds", "fails")),
    )
    def replace(self, number: int, new: tuple[Place, str] | None, content: Document, what: str) -> None:
        if new is not None:
            check, item_id = self.check(new[0]), new[1]
        elif self.model.items:
            check, item_id = self.some_item(number)
        else:
            return
        item, condition = item_of(item_id, content), self.precondition(check, item_id, what)
        call = partial(replace_item, self.db, check, item, 0, self.oldest_ms, condition)
        if what == "fails":
            with pytest.raises(PreconditionFailed):
                call()
            return
        assert call() == ((check, item_id) not in self.model.items)
        self.model.store(check, item)

    @rule(number=st.integers(0, 999), notification=st.sampled_from(("nt", "nT")), message=TEXTS)
    def add_attempt(self, number: int, notification: str, message: str) -> None:
        if not self.model.items:
            return
        check, item_id = self.some_item(number)
        item = orjson.loads(orjson.dumps(self.model.items[check, item_id]))
        results = [each for each in item["notification_results"] if each.get("notification_id") == notification]
        call = partial(add_attempt, self.db, check, item_id, notification, {"message": message}, self.oldest_ms)
        if not self.is_shown(item_id) or not results:
            with pytest.raises(NotFound if self.is_shown(item_id) else ParentNotFound):
                call()
            return
        results[0].setdefault("attempts", []).append({"message": message})
        assert call() == item
        self.model.store(check, item)

    @rule(number=st.integers(0, 999), what=st.sampled_from(("none", "none", "holds", "fails")))
    def delete(self, number: int, what: str) -> None:
        if not self.model.items:
            return
        check, item_id = self.some_item(number)
        call = partial(delete_item, self.db, check, item_id, self.oldest_ms, self.precondition(check, item_id, what))
        refused: type[ApiError] = NotFound if not self.is_shown(item_id) else PreconditionFailed
        if not self.is_shown(item_id) or what == "fails":
            with pytest.raises(refused):
                call()
            return
        call()
        self.model.delete(check, item_id)

    @rule(tenant=st.integers(0, 1))
    def move(self, tenant: int) -> None:
        if (tenant_id := find_tenant(self.db, self.tenants[tenant])) is not None:
            with self.db.writing():
                recording.move_recent(self.db, tenant_id, self.tenants[tenant])

    @rule(at_ms=st.none() | TIMES)
    def time_passes(self, at_ms: int | None) -> None:
        """Have items expire, minute by minute."""
        self.oldest_ms = None if at_ms is None else at_ms // 60_000 * 60_000

    @rule(batch=st.sampled_from((1, 3, 500)))
    def purge(self, batch: int) -> None:
        if self.oldest_ms is not None:
            for _ in purge(self.db, self.oldest_ms, batch):
                pass
            for check, item_id in list(self.model.items):
                if not self.is_shown(item_id):
                    self.model.delete(check, item_id)

    # Who looks at them.

    def asked(self, query: DeliveriesQuery, tenant: int) -> DeliveriesQuery:
        return replace(query, tenant=self.tenants[tenant])

    @rule(several=st.lists(queries(), min_size=4, max_size=8), tenant=st.integers(0, 1), number=st.integers(0, 999))
    def ask(self, several: list[DeliveriesQuery], tenant: int, number: int) -> None:
        """Ask from the beginning, and from a delivery that is there or was."""
        for query in several:
            assert_answered(self.db, self.model, self.asked(query, tenant), self.oldest_ms)
        if ids := sorted(self.model.ids):
            query = replace(several[0], marker=ids[number % len(ids)])
            assert_answered(self.db, self.model, self.asked(query, tenant), self.oldest_ms)

    @rule(query=queries(), marker=IDS, tenant=st.integers(0, 1))
    def ask_from_anywhere(self, query: DeliveriesQuery, marker: str, tenant: int) -> None:
        assert_answered(self.db, self.model, self.asked(replace(query, marker=marker), tenant), self.oldest_ms)

    @rule(parts=st.lists(PARTS, min_size=4, max_size=8), query=queries(), tenant=st.integers(0, 1))
    def search(self, parts: list[Part], query: DeliveriesQuery, tenant: int) -> None:
        """Search for parts of texts that are there, or were."""
        if not (texts := sorted(self.model.texts)):
            return
        whole = DeliveriesQuery("", 0, MAX_TIMESTAMP, limit=1000)
        for number, start, length, written in parts:
            text = texts[number % len(texts)]
            needle = written(text[start % len(text) :][:length]).replace("\0", "")
            for each in (whole, query):
                asked = self.asked(replace(each, search_query=needle), tenant)
                assert_answered(self.db, self.model, asked, self.oldest_ms, pages=1)

    @rule(query=queries(), edges=st.lists(TIMES, min_size=2, max_size=6), tenant=st.integers(0, 1))
    def sum_up(self, query: DeliveriesQuery, edges: list[int], tenant: int) -> None:
        assert_summed_up(self.db, self.model, self.asked(query, tenant), self.oldest_ms, edges)

    @rule()
    def recount(self) -> None:
        for tenant in self.tenants:
            assert_counts_are_true(self.db, tenant)
            items = ((check, item) for (check, _), item in self.model.items.items())
            assert_every_delivery_is_right(self.db, tenant, items)

    def teardown(self) -> None:
        self.recount()


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "SPLIT_ABOVE", 3)
    monkeypatch.setattr(ranges, "_MANY_BUCKETS", 2)
    monkeypatch.setattr(ranges, "_FEW", 2)
    monkeypatch.setattr(selection, "_MOST_FETCHED", 3)
    monkeypatch.setattr(selection, "_MOST_JOINED", 6)
    monkeypatch.setattr(delivery_purge, "_AT_ONCE", 5)
    monkeypatch.setattr(cut, "_ROWS_AT_ONCE", 20)
    monkeypatch.setattr(recording, "_COUNT_AFTER", 3)
    monkeypatch.setattr(recording, "_MOVE_FROM", 5)
    monkeypatch.setattr(recording, "_DIRECT_FROM", 7)
    monkeypatch.setattr(selection, "_FEW", 4)
    monkeypatch.setattr(reading, "READ_TOGETHER", 3)
    monkeypatch.setattr(reading, "_MAX_BATCH_BYTES", 1000)
    monkeypatch.setattr(names, "_REMEMBERED", 8)


@pytest.mark.long
def test_every_answer_about_deliveries_is_the_models(db: Database, tmp_path: Path) -> None:
    numbers = count(1)

    class NewTenants(Deliveries):
        def __init__(self) -> None:
            super().__init__(db, next(numbers), tmp_path)

    run_state_machine_as_test(NewTenants, settings=settings(examples(0.5), stateful_step_count=30))
