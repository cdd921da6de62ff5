"""The history against a model in memory, whatever is recorded, deleted or expires while somebody pages."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from notifhist.clock import Clock
from notifhist.config import MS_PER_DAY
from notifhist.schemas.document import Document
from notifhist.schemas.item_ids import key_of
from notifhist.store.database import ensure_connected
from notifhist.store.purge import purge
from notifhist.web.context import Service
from tests.conftest import NOW_MS, MakeApp
from tests.property.conftest import Newcomer
from tests.property.histories import (
    CHECKS,
    CONTENTS,
    DEFAULT_LIMIT,
    IDS,
    ITEMS,
    LATER,
    QUERIES,
    RETENTION,
    SERIES,
    WINDOW,
    Walk,
    normal,
    place,
)
from tests.property.strategies import completed, examples


class History(RuleBasedStateMachine):
    """A tenant's history and the model of it: for each check, what is stored by its id."""

    def __init__(self, app: Flask, client: FlaskClient) -> None:
        super().__init__()
        self.app, self.client, self.now = app, client, NOW_MS
        self.stored: dict[str, dict[str, Document]] = {check: {} for check in CHECKS}
        self.walks: list[Walk] = []
        self.set_clock(NOW_MS)

    # What is asked, and what the model says of it.

    def send(self, method: str, check: str, *more: str, body: Any = None) -> tuple[int, Any]:
        path = "/".join([SERIES, *(quote(part, safe="") for part in (check, *more))])
        data, content_type = (None, None) if body is None else (json.dumps(body), "application/json")
        response = self.client.open(path, method=method, data=data, content_type=content_type)
        answer = json.loads(response.data) if response.data else None
        note(f"{method} {path} {body} -> {response.status_code} {answer}")
        return response.status_code, answer

    def set_clock(self, now_ms: int) -> None:
        service: Service = self.app.extensions["notifhist"]
        self.app.extensions["notifhist"] = replace(service, clock=Clock(now_ms))
        self.now = now_ms

    def is_shown(self, check: str, item_id: str) -> bool:
        item = self.stored[check].get(item_id)
        return item is not None and item["timestamp"] >= self.now - RETENTION

    def in_window(self, check: str, asked: Mapping[str, Any]) -> list[str]:
        """Return the ids that a query without a limit must answer, oldest first."""
        to = asked.get("to", self.now)
        shown = [item_id for item_id in self.stored[check] if self.is_shown(check, item_id)]
        times = {item_id: self.stored[check][item_id]["timestamp"] for item_id in shown}
        return sorted((i for i in shown if asked.get("from", to - WINDOW) <= times[i] <= to), key=place)

    def expect_recorded(self, check: str, items: Iterable[Document]) -> tuple[dict[str, Document], bool]:
        """Return the check's items with `items` among them, and whether one contradicts another."""
        after = dict(self.stored[check])
        contradicts = False
        for item in items:
            contradicts |= after.setdefault(item["id"], item) != item
        return after, contradicts

    # What changes it.

    @rule(check=st.sampled_from(CHECKS), item=ITEMS)
    def record(self, check: str, item: Document) -> None:
        self.post(check, [item], item)

    @initialize(items=st.lists(ITEMS, min_size=5, max_size=20))
    def record_many(self, items: list[Document]) -> None:
        agreeing = {item.get("id", str(n)).lower(): item for n, item in enumerate(items)}
        self.record_container(CHECKS[0], list(agreeing.values()))

    @rule(check=st.sampled_from(CHECKS), items=st.lists(ITEMS, max_size=6))
    def record_container(self, check: str, items: list[Document]) -> None:
        self.post(check, items, {"values": items, "metadata": {"count": -1}})

    def post(self, check: str, items: list[Document], body: Document) -> None:
        known = [normal(item) for item in items if "id" in item]
        _, contradicts = self.expect_recorded(check, known)
        status, answer = self.send("POST", check, body=body)
        if contradicts:
            assert (status, answer["type"]) == (400, "indexCardinalityConstraintViolation")
            return
        answered = answer["values"] if "values" in body else [answer]
        for item, recorded in zip(items, answered, strict=True):
            assert "id" in item or recorded["timestamp"] == item.get("timestamp", self.now)
            assert key_of(recorded["id"]).timestamp == recorded["timestamp"]
            assert json.dumps(recorded) == json.dumps(completed(normal(item), recorded))
        after, contradicts = self.expect_recorded(check, answered)
        assert not contradicts
        assert status == (200 if items and len(after) == len(self.stored[check]) else 201)
        self.stored[check] = after

    @rule(check=st.sampled_from(CHECKS), data=st.data(), content=CONTENTS)
    def replace(self, check: str, data: st.DataObject, content: Document) -> None:
        item_id = self.some_id(check, data)
        status, answer = self.send("PUT", check, item_id, body=content)
        assert status == (200 if item_id in self.stored[check] else 201)
        assert answer == {"id": item_id, "timestamp": key_of(item_id).timestamp, **content}
        self.stored[check][item_id] = answer

    @rule(check=st.sampled_from(CHECKS), data=st.data(), notification=st.sampled_from(("nt", "nt", "another")))
    def add_attempt(self, check: str, data: st.DataObject, notification: str) -> None:
        item_id = self.some_id(check, data)
        attempt = {"from": "ele", "message": "again"}
        path = (item_id, "notification_results", notification, "attempts")
        status, answer = self.send("POST", check, *path, body=attempt)
        if not self.is_shown(check, item_id):
            assert (status, answer["type"]) == (404, "parentNotFoundError")
            return
        item = json.loads(json.dumps(self.stored[check][item_id]))
        if notification != "nt" or not item["notification_results"]:
            assert (status, answer["type"]) == (404, "notFoundError")
            return
        item["notification_results"][0].setdefault("attempts", []).append(attempt)
        assert (status, json.dumps(answer)) == (201, json.dumps(item))
        self.stored[check][item_id] = item

    @rule(check=st.sampled_from(CHECKS), data=st.data())
    def delete(self, check: str, data: st.DataObject) -> None:
        item_id = self.some_id(check, data)
        status, _ = self.send("DELETE", check, item_id)
        assert status == (204 if self.is_shown(check, item_id) else 404)
        if status == 204:
            del self.stored[check][item_id]
            for walk in self.walks:
                if walk.check == check:
                    walk.there_all_the_time.discard(item_id)

    def some_id(self, check: str, data: st.DataObject) -> str:
        """Draw an id: mostly of an item that is stored, if any is."""
        known = list(self.stored[check])  # not by id: of those filled in, each run has others
        return data.draw(st.sampled_from(known) | IDS if known else IDS, label="id")

    @rule(ms=st.sampled_from((1, 2, MS_PER_DAY, WINDOW, RETENTION - MS_PER_DAY)))
    def time_passes(self, ms: int) -> None:
        self.set_clock(self.now + ms)

    @rule(batch=st.integers(1, 3))
    def purge(self, batch: int) -> None:
        service: Service = self.app.extensions["notifhist"]
        ensure_connected(service.db)
        for _ in purge(service.db, self.now - RETENTION, batch):
            pass
        for check, items in self.stored.items():
            for item_id in [item_id for item_id in items if not self.is_shown(check, item_id)]:
                del items[item_id]

    # Who looks at it.

    @rule(check=st.sampled_from(CHECKS), data=st.data())
    def get(self, check: str, data: st.DataObject) -> None:
        item_id = self.some_id(check, data)
        status, answer = self.send("GET", check, item_id)
        assert status == (200 if self.is_shown(check, item_id) else 404)
        if status == 200:
            assert json.dumps(answer) == json.dumps(self.stored[check][item_id])

    @rule()
    def discover(self) -> None:
        response = self.client.get(SERIES)
        shown = [check for check in CHECKS if any(self.is_shown(check, i) for i in self.stored[check])]
        assert response.json == {"check_ids": sorted(shown)}

    @rule(check=st.sampled_from(CHECKS), asked=QUERIES)
    def start_to_walk(self, check: str, asked: dict[str, Any]) -> None:
        href = f"http://localhost{SERIES}/{quote(check, safe='')}?{urlencode(asked)}"
        walk = Walk(check, asked, href, [], set(self.in_window(check, asked)))
        self.walks.append(walk)
        self.turn_page(walk)

    @rule(number=st.integers(0, 99))
    def walk_on(self, number: int) -> None:
        if under_way := [walk for walk in self.walks if walk.href]:
            self.turn_page(under_way[number % len(under_way)])

    def turn_page(self, walk: Walk) -> None:
        href = walk.href or ""
        asked_now = dict(parse_qsl(urlsplit(href).query, keep_blank_values=True))
        marker = asked_now.pop("marker", None)
        assert asked_now == {name: str(value) for name, value in walk.asked.items()}
        answer = self.client.get(href).json
        note(f"GET {href} -> {answer}")
        assert answer is not None

        window = self.in_window(walk.check, walk.asked)
        if walk.is_reverse:
            window.reverse()
        if marker is not None:
            window = [i for i in window if i == marker or (place(i) < place(marker)) == walk.is_reverse]
        limit = walk.asked.get("limit", DEFAULT_LIMIT)
        expected, behind = window[:limit], window[limit:]
        metadata = answer["metadata"]
        assert json.dumps(answer["values"]) == json.dumps([self.stored[walk.check][i] for i in expected])
        assert list(metadata) == ["count", "limit", "marker", "next_marker", "next_href"]
        assert (metadata["count"], metadata["limit"], metadata["marker"]) == (len(expected), limit, marker)
        assert metadata["next_marker"] == (behind[0] if behind else None)
        assert (metadata["next_href"] is None) == (not behind)
        assert not behind or metadata["next_href"].startswith(href.partition("?")[0] + "?")

        walk.seen += [item["id"] for item in answer["values"]]
        walk.href = metadata["next_href"]
        walk.there_all_the_time &= set(self.in_window(walk.check, walk.asked))
        places = [place(item_id) for item_id in walk.seen]
        assert places == sorted(set(places), reverse=walk.is_reverse), "repeats or disorder"
        if walk.href is None:
            assert walk.there_all_the_time <= set(walk.seen), "hides an item"

    def teardown(self) -> None:
        for walk in self.walks:
            while walk.href:
                self.turn_page(walk)
        for check in CHECKS:
            asked = {"from": 0, "to": LATER}
            backwards = {**asked, "reverse": "true", "limit": 1000}
            pages = [
                self.client.get(f"{SERIES}/{quote(check)}", query_string=query).json
                for query in ({**asked, "limit": 1000}, backwards)
            ]
            ids = [[item["id"] for item in page["values"]] for page in pages if page]
            assert ids[0] == self.in_window(check, asked)
            assert ids[1] == ids[0][::-1]


def test_every_answer_is_the_models(make_app: MakeApp, newcomer: Newcomer) -> None:
    app = make_app(HISTORY_RATE_LIMIT="", DEFAULT_LIMIT=DEFAULT_LIMIT)

    class Newcomers(History):
        def __init__(self) -> None:
            super().__init__(app, newcomer(app))

    run_state_machine_as_test(Newcomers, settings=settings(examples(), stateful_step_count=40))


def test_next_href_keeps_every_parameter(unlimited: Flask, newcomer: Newcomer) -> None:
    client = newcomer(unlimited)
    item: Document = {"state": "OK", "notification_results": []}
    items = [{"timestamp": time, **item} for time in (1, 2, 3)]
    assert client.post(f"{SERIES}/c", json={"values": items}).status_code == 201
    names = st.text(max_size=4).filter(lambda name: name not in ("from", "to", "limit", "marker", "reverse"))

    @given(st.lists(st.tuples(names, st.text(max_size=4)), max_size=4))
    @examples()
    def holds(others: list[tuple[str, str]]) -> None:
        query = [*others, ("from", "0"), ("to", "9"), ("limit", "1")]
        href = f"{SERIES}/c?{urlencode(query)}"
        for turned in range(3):
            page = client.get(href).json
            assert page is not None
            assert [item["timestamp"] for item in page["values"]] == [turned + 1]
            href = page["metadata"]["next_href"]
            if turned < 2:
                asked = parse_qsl(urlsplit(href).query, keep_blank_values=True)
                assert asked == [*query, ("marker", page["metadata"]["next_marker"])]
        assert href is None

    holds()
