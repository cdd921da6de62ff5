"""The register and the latest states against a model in memory, while items come, go and expire."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from hypothesis import given, note
from hypothesis import strategies as st

from notifhist.schemas.item_ids import id_of, key_in_tenant, key_of
from notifhist.schemas.query import CheckPath
from notifhist.store.history import listing
from tests.conftest import NOW_MS, MakeApp
from tests.http.helpers import id_at
from tests.property.conftest import Newcomer
from tests.property.histories import RETENTION
from tests.property.strategies import examples

IDS = st.sampled_from(("a", "a b", "B", "é", "ｆ", "🚨"))
STATES = st.sampled_from(("OK", "CRITICAL"))
Ids = tuple[str, str, str]
RECORDS = st.tuples(
    st.tuples(IDS, IDS, IDS),
    st.sampled_from((-RETENTION - 1, -RETENTION, -1000, -1, 0, 1)),
    st.integers(0, 1),
    st.fixed_dictionaries({"state": STATES}, optional={"previous_state": STATES, "notification_plan_id": IDS}),
)
"""An item: its entity, alarm and check, when it was, its number among those of that time, and what it tells."""


@dataclass
class Model:
    """What was recorded, and the client by which it was."""

    client: FlaskClient
    series: dict[Ids, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def record(self, ids: Ids, time: int, number: int, content: dict[str, Any]) -> None:
        """Record an item, or replace it."""
        item_id = id_at(NOW_MS + time, number)
        answer = self.client.put(f"{self.url(ids)}/{item_id}", json={**content, "notification_results": []})
        assert answer.status_code in (200, 201), answer.text
        self.series.setdefault(ids, {})[item_id] = {"timestamp": NOW_MS + time, **content}

    def delete_all(self, ids: Ids) -> None:
        """Delete what a check shows."""
        for item_id, item in list(self.series[ids].items()):
            if item["timestamp"] >= NOW_MS - RETENTION:
                assert self.client.delete(f"{self.url(ids)}/{item_id}").status_code == 204
                del self.series[ids][item_id]

    @staticmethod
    def url(ids: Ids) -> str:
        entity, alarm, check = (quote(each) for each in ids)
        return f"/entities/{entity}/alarms/{alarm}/notification_history/{check}"

    def shown(self) -> dict[Ids, list[tuple[str, dict[str, Any]]]]:
        """Return the items of each check that are not expired, newest first; a check without any is left out."""
        shown = {
            ids: [(each, items[each]) for each in sorted(items, key=key_of, reverse=True)]
            for ids, items in self.series.items()
        }
        kept = {
            ids: [each for each in items if each[1]["timestamp"] >= NOW_MS - RETENTION] for ids, items in shown.items()
        }
        return {ids: items for ids, items in kept.items() if items}

    def entities(self) -> dict[str, Any]:
        return {
            entity: {
                "id": entity,
                "label": entity,
                "metadata": None,
                "ip_addresses": None,
                "scheduled_suppressions": [],
                "active_suppressions": [],
            }
            for entity, _, _ in self.shown()
        }

    def alarms(self, entity: str) -> dict[str, Any]:
        newest: dict[str, tuple[Any, ...]] = {}
        for (its_entity, alarm, check), items in self.shown().items():
            if its_entity == entity:
                place = (key_of(items[0][0]), check, items[0][1].get("notification_plan_id"))
                newest[alarm] = max(newest.get(alarm, place), place)
        return {
            alarm: {"id": alarm, "check_id": check, "criteria": None, "notification_plan_id": plan}
            for alarm, (_, check, plan) in newest.items()
        }

    def checks(self, entity: str) -> dict[str, Any]:
        unknown = {"type": None, "timeout": None, "period": None, "monitoring_zones_poll": None}
        return {check: {"id": check, **unknown} for its_entity, _, check in self.shown() if its_entity == entity}

    def states(self) -> dict[str, Any]:
        states: dict[str, list[Any]] = {}
        for ids, items in sorted(self.shown().items()):
            changes = [each for each, item in items if item.get("previous_state") != item["state"]]
            newest = items[0][1]
            names = dict(zip(("entity_id", "alarm_id", "check_id"), ids, strict=True))
            state = {
                "timestamp": newest["timestamp"],
                **names,
                "status": None,
                "state": newest["state"],
                "previous_state": newest.get("previous_state"),
                "alarm_changelog_id": id_of(key_in_tenant(CheckPath("", *ids), changes[0])) if changes else None,
                "analyzed_by_monitoring_zone_id": None,
                "alarm_label": None,
            }
            states.setdefault(ids[0], []).append(state)
        return {
            entity: {"entity_id": entity, "entity_uri": None, "entity_label": entity, "latest_alarm_states": each}
            for entity, each in states.items()
        }

    def lists(self) -> dict[str, dict[str, Any]]:
        """Return what each list has, by its URL and by id."""
        lists = {"/entities": self.entities(), "/views/latest_alarm_states": self.states()}
        for entity in self.entities():
            lists |= {
                f"/entities/{quote(entity)}/alarms": self.alarms(entity),
                f"/entities/{quote(entity)}/checks": self.checks(entity),
            }
        return lists


def id_in(document: dict[str, Any]) -> str:
    found: str = document.get("id") or document["entity_id"]
    return found


def assert_pages(client: FlaskClient, url: str, expected: dict[str, Any], limit: int, reverse: bool) -> None:
    """Assert that the pages of a list are what is expected, each as full as it may be."""
    href: str | None = f"{url}?limit={limit}&reverse={reverse}"
    pages = []
    while href:
        answer: Any = client.get(href).get_json()
        pages.append(answer["values"])
        href = answer["metadata"]["next_href"]
    ordered = [expected[each] for each in sorted(expected, reverse=reverse)]
    assert pages == ([ordered[n : n + limit] for n in range(0, len(ordered), limit)] or [[]])


@pytest.fixture(autouse=True)
def read_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_MOST_SERIES", 3)
    monkeypatch.setattr(listing, "_DOCUMENTS_TOGETHER", 2)


def test_every_list_and_everything_in_it_is_the_models(make_app: MakeApp, newcomer: Newcomer) -> None:
    app = make_app(HISTORY_RATE_LIMIT="")

    @given(st.lists(RECORDS, max_size=14), st.integers(0, 3), st.sampled_from((1, 2, 1000)), st.booleans())
    @examples()
    def holds(records: list[Any], deleted: int, limit: int, reverse: bool) -> None:
        model = Model(newcomer(app))
        for record in records:
            model.record(*record)
        for ids in list(model.series)[:deleted]:
            model.delete_all(ids)
        for url, expected in model.lists().items():
            assert_pages(model.client, url, expected, limit, reverse)
            for each, document in expected.items():
                if not url.startswith("/views/"):
                    assert model.client.get(f"{url}/{quote(each)}").get_json() == document
        assert_nothing_else_exists(model)

    holds()


def assert_nothing_else_exists(model: Model) -> None:
    lists = model.lists()
    for entity, alarm, check in model.series:
        for url, name in (
            ("/entities", entity),
            (f"/entities/{quote(entity)}/alarms", alarm),
            (f"/entities/{quote(entity)}/checks", check),
        ):
            status = 200 if name in lists.get(url, {}) else 404
            assert model.client.get(f"{url}/{quote(name)}").status_code == status


def test_walks_see_what_was_there_all_the_time_once(make_app: MakeApp, newcomer: Newcomer) -> None:
    app = make_app(HISTORY_RATE_LIMIT="")
    urls = st.sampled_from(("/entities", "/views/latest_alarm_states", "/entities/a/alarms", "/entities/a/checks"))

    @given(urls, st.lists(RECORDS, min_size=1, max_size=8), st.lists(RECORDS, max_size=5), st.booleans(), st.data())
    @examples()
    def holds(url: str, first: list[Any], later: list[Any], reverse: bool, data: st.DataObject) -> None:
        model = Model(newcomer(app))
        model.record(("a", "a", "a"), 0, 0, {"state": "OK"})
        for record in first:
            model.record(*record)
        always, seen = set(model.lists()[url]), list[str]()
        href: str | None = f"{url}?limit=1&reverse={reverse}"
        while href:
            answer: Any = model.client.get(href).get_json()
            note(f"GET {href} -> {answer}")
            seen += map(id_in, answer["values"])
            href = answer["metadata"]["next_href"]
            if later:
                model.record(*later.pop())
            gone = data.draw(st.sampled_from([None, *(ids for ids in model.series if ids != ("a", "a", "a"))]))
            if gone is not None:
                model.delete_all(gone)
            always &= set(model.lists()[url])
        assert seen == sorted(set(seen), reverse=reverse)
        assert always <= set(seen)

    holds()
