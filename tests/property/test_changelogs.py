"""Changelogs and suppression logs against a model in memory, whatever happens to the items while somebody pages."""

import json
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count
from typing import Any
from urllib.parse import urlencode

from flask import Flask
from flask.testing import FlaskClient
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from notifhist.clock import Clock
from notifhist.config import MS_PER_DAY
from notifhist.schemas import item_ids
from notifhist.schemas.document import Document
from notifhist.schemas.item_ids import ItemKey, id_of, key_in_tenant
from notifhist.schemas.query import CheckPath
from notifhist.store.database import ensure_connected
from notifhist.store.purge import purge
from notifhist.web.context import Service
from tests.conftest import NOW_MS, TENANT, MakeApp, MakeKey, authorized
from tests.property.histories import DEFAULT_LIMIT, IDS, LATER, QUERIES, RETENTION, WINDOW
from tests.property.strategies import examples
from tests.records import move_recent_deliveries

CHECKS = tuple(CheckPath("", *ids) for ids in (("e", "a", "c"), ("e", "a", "d"), ("e", "b", "c"), ("E é", "a", "c")))
STATES = ("OK", "WARNING", "UNKNOWN", "")
ZONE = "analyzed_by_monitoring_zone_id"
CONTENTS: st.SearchStrategy[Document] = st.fixed_dictionaries(
    {"state": st.sampled_from(STATES), "notification_results": st.sampled_from(([], [{}], [{}, {"success": True}]))},
    optional={
        "previous_state": st.sampled_from((*STATES, None)),
        "suppressions": st.sampled_from(([], ["sp"], ["sp", "\0<é>"], None)),
        "status": st.sampled_from(("s", "", "long " * 5000, None)),
        "notification_plan_id": st.just("np"),
        "transaction_id": st.just("t"),
        ZONE: st.sampled_from(("mz", None, 1)),
    },
)
LISTS = ("/changelogs/alarms", "/suppression_logs")
ASKED = st.tuples(QUERIES, st.sampled_from((None, None, "e", "E é", "unknown"))).map(
    lambda both: both[0] if both[1] is None else {**both[0], "entityId": both[1]}
)

key_of = cache(item_ids.key_of)  # the model asks very often

Place = tuple[CheckPath, str]
"""Where an item is: its check and its id."""


@dataclass
class Walk:
    """Somebody who goes through a list page by page."""

    url: str
    asked: dict[str, Any]
    href: str | None
    seen: list[ItemKey] = field(default_factory=list)

    @property
    def is_reverse(self) -> bool:
        return self.asked.get("reverse", "no").lower() in ("true", "1", "yes")


class Logs(RuleBasedStateMachine):
    """A tenant's items and the model of their logs."""

    def __init__(self, app: Flask, client: FlaskClient, tenant: str) -> None:
        super().__init__()
        self.app, self.client, self.tenant, self.now = app, client, tenant, NOW_MS
        self.stored: dict[Place, Document] = {}
        self.walks: list[Walk] = []
        self.set_clock(NOW_MS)

    @property
    def service(self) -> Service:
        service: Service = self.app.extensions["notifhist"]
        return service

    def set_clock(self, now_ms: int) -> None:
        self.app.extensions["notifhist"] = replace(self.service, clock=Clock(now_ms))
        self.now = now_ms

    # What the model says.

    def is_shown(self, place: Place) -> bool:
        return key_of(place[1]).timestamp >= self.now - RETENTION

    def previous_state(self, place: Place) -> str:
        check, item_id = place
        before = [
            (key_of(other_id), item["state"])
            for (other, other_id), item in self.stored.items()
            if other == check and key_of(other_id) < key_of(item_id) and self.is_shown((other, other_id))
        ]
        return max(before)[1] if before else "UNKNOWN"

    def changelog(self, place: Place) -> Document | None:
        check, item_id = place
        item = {name: value for name, value in self.stored[place].items() if value is not None}
        if item.get("previous_state") == item["state"]:
            return None
        members: Document = {
            "id": id_of(key_in_tenant(check, item_id)),
            "timestamp": key_of(item_id).timestamp,
            **{name: getattr(check, name) for name in ("entity_id", "alarm_id", "check_id")},
            **{name: item[name] for name in ("status", "state") if name in item},
        }
        members["previous_state"] = item.get("previous_state")
        if members["previous_state"] is None:
            members["previous_state"] = self.previous_state(place)
        return members | ({ZONE: item[ZONE]} if isinstance(item.get(ZONE), str) else {})

    def suppression_log(self, place: Place) -> Document | None:
        check, item_id = place
        item = self.stored[place]
        if not item.get("suppressions"):
            return None
        return {
            "id": id_of(key_in_tenant(check, item_id)),
            **{name: getattr(check, name) for name in ("entity_id", "alarm_id", "check_id")},
            "notification_plan_id": item.get("notification_plan_id"),
            "suppressions": item["suppressions"],
            "state": item["state"],
            "timestamp": key_of(item_id).timestamp,
            "transaction_id": item.get("transaction_id"),
        }

    def in_window(self, url: str, asked: dict[str, Any]) -> list[Document]:
        """Return what a query without a limit must answer, oldest first."""
        to = asked.get("to", self.now)
        log_of = self.changelog if url == LISTS[0] else self.suppression_log
        found = [log for place in self.stored if self.is_shown(place) and (log := log_of(place)) is not None]
        entity_id = asked.get("entityId") if url == LISTS[0] else None
        return sorted(
            (
                log
                for log in found
                if asked.get("from", to - WINDOW) <= log["timestamp"] <= to and entity_id in (None, log["entity_id"])
            ),
            key=lambda log: key_of(log["id"]),
        )

    # What changes it.

    def url_of(self, check: CheckPath, *more: str) -> str:
        path = f"/entities/{check.entity_id}/alarms/{check.alarm_id}/notification_history/{check.check_id}"
        return "/".join((path, *more))

    def send(self, method: str, url: str, document: Any) -> int:
        response = self.client.open(url, method=method, data=json.dumps(document), content_type="application/json")
        note(f"{method} {url} {document} -> {response.status_code}")
        return response.status_code

    @initialize(items=st.lists(st.tuples(st.sampled_from(CHECKS), IDS, CONTENTS), min_size=5, max_size=25))
    def begin(self, items: list[tuple[CheckPath, str, Document]]) -> None:
        for check, item_id, content in items:
            self.replace(check, item_id, content)

    @rule(check=st.sampled_from(CHECKS), item_id=IDS, content=CONTENTS)
    def record(self, check: CheckPath, item_id: str, content: Document) -> None:
        if (check, item_id) not in self.stored:
            assert self.send("POST", self.url_of(check), {**content, "id": item_id}) == 201
            self.stored[check, item_id] = content

    @rule(check=st.sampled_from(CHECKS), item_id=IDS, content=CONTENTS)
    def replace(self, check: CheckPath, item_id: str, content: Document) -> None:
        status = self.send("PUT", self.url_of(check, item_id), content)
        assert status == (200 if (check, item_id) in self.stored else 201)
        self.stored[check, item_id] = content

    @rule(check=st.sampled_from(CHECKS), state=st.sampled_from(STATES))
    def record_many(self, check: CheckPath, state: str) -> None:
        """Record so many that they are no recent ones first, but not too many for the model."""
        number = 100
        if len(self.stored) > 200:
            return
        content: Document = {"state": state, "notification_results": []}
        used = {key_of(item_id).ticks for at, item_id in self.stored if at == check}
        ticks = max(used, default=NOW_MS * 10_000)
        ids = [id_of(ItemKey(ticks + 1 + n, -(2**63) + n)) for n in range(number)]
        container = {"values": [{**content, "id": item_id} for item_id in ids]}
        assert self.send("POST", self.url_of(check), container) == 201
        self.stored.update({(check, item_id): content for item_id in ids})

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        places = [place for place in self.stored if self.is_shown(place)]
        if places:
            check, item_id = data.draw(st.sampled_from(places))
            assert self.send("DELETE", self.url_of(check, item_id), None) == 204
            del self.stored[check, item_id]

    @rule(ms=st.sampled_from((1, 60_000, MS_PER_DAY, WINDOW, RETENTION - MS_PER_DAY)))
    def time_passes(self, ms: int) -> None:
        self.set_clock(self.now + ms)

    @rule(batch=st.integers(1, 3))
    def purge(self, batch: int) -> None:
        ensure_connected(self.service.db)
        for _ in purge(self.service.db, self.now - RETENTION, batch):
            pass
        self.stored = {place: item for place, item in self.stored.items() if self.is_shown(place)}

    @rule()
    def move(self) -> None:
        ensure_connected(self.service.db)
        move_recent_deliveries(self.service.db, self.tenant)

    # Who looks at it.

    @rule(url=st.sampled_from(LISTS), asked=ASKED)
    def start_to_walk(self, url: str, asked: dict[str, Any]) -> None:
        self.walks.append(Walk(url, asked, f"{url}?{urlencode(asked)}"))
        self.turn_page(self.walks[-1])

    @rule(number=st.integers(0, 99))
    def walk_on(self, number: int) -> None:
        if under_way := [walk for walk in self.walks if walk.href]:
            self.turn_page(under_way[number % len(under_way)])

    def turn_page(self, walk: Walk) -> None:
        answer = json.loads(self.client.get(walk.href or "").data)
        window = self.in_window(walk.url, walk.asked)
        if walk.is_reverse:
            window.reverse()
        if (marker := answer["metadata"]["marker"]) is not None:
            at = key_of(marker)
            window = [log for log in window if key_of(log["id"]) == at or (key_of(log["id"]) < at) == walk.is_reverse]
        limit = walk.asked.get("limit", DEFAULT_LIMIT)
        expected, behind = window[:limit], window[limit:]
        assert json.dumps(answer["values"]) == json.dumps(expected)
        metadata = answer["metadata"]
        assert (metadata["count"], metadata["limit"]) == (len(expected), limit)
        assert metadata["next_marker"] == (behind[0]["id"] if behind else None)
        walk.seen += [key_of(log["id"]) for log in answer["values"]]
        assert walk.seen == sorted(set(walk.seen), reverse=walk.is_reverse), "repeats or disorder"
        walk.href = metadata["next_href"]
        assert (walk.href is None) == (not behind)

    def teardown(self) -> None:
        for walk in self.walks:
            while walk.href:
                self.turn_page(walk)
        for url in LISTS:
            for reverse in ("no", "yes"):
                asked = {"from": 0, "to": LATER, "limit": 1000, "reverse": reverse}
                self.turn_page(Walk(url, asked, f"{url}?{urlencode(asked)}"))


def test_every_page_is_the_models(make_app: MakeApp, make_key: MakeKey) -> None:
    app, numbers = make_app(HISTORY_RATE_LIMIT="", DEFAULT_LIMIT=DEFAULT_LIMIT), count()

    class Newcomers(Logs):
        def __init__(self) -> None:
            tenant = f"{TENANT}-{next(numbers)}"
            super().__init__(app, authorized(app, make_key(tenant=tenant)), tenant)

    run_state_machine_as_test(Newcomers, settings=settings(examples(0.5), stateful_step_count=30))
