"""What is answered from stored texts is, byte for byte, what the plain path makes of the stored documents.

The plain path: the schema dumps the document, and that is written as JSON by orjson, as XML by `tests.plain_xml`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import example, given
from hypothesis import strategies as st

from notifhist.clock import Clock
from notifhist.schemas.document import Document, DocumentSchema, dump
from notifhist.schemas.fields import MAX_TIMESTAMP
from notifhist.schemas.history import ATTEMPT, HISTORY_CONTAINER, HISTORY_PAGE, ITEM
from notifhist.schemas.instants import parse_instant
from notifhist.schemas.item_ids import key_of
from notifhist.schemas.runs import RUN, RUNS_CONTAINER, RUNS_PAGE
from notifhist.serializers import from_xml
from notifhist.serializers.as_xml import MAPPING_VERSION
from notifhist.store.database import Database
from notifhist.store.models import HistoryItemRow, NotificationRunRow, SeriesRow, TenantRow
from notifhist.transfer.load import Loader, Source
from tests import plain_xml
from tests.conftest import NOW_MS, MakeKey, authorized
from tests.http.helpers import CHECK, JSON, RUNS, XML, item_at, run_of
from tests.property.strategies import ANY_ITEM, AWKWARD_ITEM, MANY_ATTEMPTS, MAPS, completed, examples
from tests.property.test_documents import with_id
from tests.property.test_runs import GIVEN_RUNS, filled_in

FORMATS = st.sampled_from((JSON, XML))
WAYS = st.sampled_from(("POST", "container", "PUT", "load"))
SERIES = ("e", "a", "c")
OBJECTS = [{"id": 1, "name": "n", "type": "ENTITY"}]


@dataclass
class Tenant:
    """A tenant in the service, and what of it must be stored."""

    name: str
    client: FlaskClient
    db: Database
    folder: Path
    stored: dict[Any, Document] = field(default_factory=dict)

    @property
    def check(self) -> str:
        return "/entities/{}/alarms/{}/notification_history/{}".format(*SERIES)

    def send(
        self, method: str, url: str, document: Document, schema: DocumentSchema, media_type: str
    ) -> tuple[Document, Any, bytes]:
        """Send `document`; return how its schema reads it, what is answered as JSON, and those bytes."""
        body = json.dumps(document).encode() if media_type == JSON else plain_xml.render(document, schema)
        response = self.client.open(url, method=method, data=body, content_type=media_type)
        assert response.status_code in (200, 201), response.text
        return as_sent(document, schema, media_type), json.loads(response.data), response.data

    def load(self, line: Document) -> None:
        """Load a record as `notifhist load` does."""
        path = self.folder / f"{self.name}.ndjson"
        path.write_text(json.dumps({"tenant": self.name, **line}))
        loader = Loader(self.db, Clock(NOW_MS))
        loader.load(Source(path, None))
        assert (loader.stored, loader.bad) == (1, [])

    def assert_answered(self, url: str, document: Document, schema: DocumentSchema) -> None:
        """Fail unless `url` answers what the plain path makes of `document`, in both formats."""
        assert self.client.get(url).data == orjson.dumps(document)
        assert self.client.get(url, headers={"Accept": XML}).data == plain_xml.render(document, schema)


def as_sent(document: Document, schema: DocumentSchema, media_type: str) -> Document:
    """Return what a body of that media type says of `document`."""
    if media_type == JSON:
        return document
    parsed = from_xml.parse(plain_xml.render(document, schema), schema)
    assert parsed.problems == {}
    read: Document = parsed.document
    return read


MakeTenant = Callable[[], Tenant]


@pytest.fixture
def make_tenant(unlimited: Flask, make_key: MakeKey, db: Database, tmp_path: Path) -> MakeTenant:
    """Makes tenants that have nothing yet."""
    numbers = count(1)

    def make() -> Tenant:
        name = f"stored-{next(numbers)}"
        return Tenant(name, authorized(unlimited, make_key(tenant=name)), db, tmp_path)

    return make


def record_item(tenant: Tenant, item: Document, way: str, media_type: str) -> None:
    if way in ("PUT", "load"):
        item = with_id(item)
    if item.get("id") in tenant.stored:
        return
    if way == "load":
        ids = dict(zip(("entity_id", "alarm_id", "check_id"), SERIES, strict=True))
        tenant.load({**ids, "item": item})
        read = answered = item
    elif way == "container":
        container = {"values": [item], "metadata": {}}
        read, answered, _ = tenant.send("POST", tenant.check, container, HISTORY_CONTAINER, media_type)
        read, answered = read["values"][0], answered["values"][0]
    else:
        url = tenant.check if way == "POST" else f"{tenant.check}/{item['id']}"
        read, answered, body = tenant.send(way, url, item, ITEM, media_type)
        assert body == orjson.dumps(dump(ITEM, completed(read, answered)))
    tenant.stored[answered["id"]] = completed(read, answered)


def assert_items_answered(tenant: Tenant) -> None:
    dumped = [dump(ITEM, tenant.stored[each]) for each in sorted(tenant.stored, key=key_of)]
    metadata = {"count": len(dumped), "limit": 9, "marker": None, "next_marker": None, "next_href": None}
    url = f"{tenant.check}?from=0&to={MAX_TIMESTAMP}&limit=9"
    tenant.assert_answered(url, {"values": dumped, "metadata": metadata}, HISTORY_PAGE)
    backwards = {"values": dumped[::-1], "metadata": metadata}
    tenant.assert_answered(f"{url}&reverse=true", backwards, HISTORY_PAGE)
    for item in dumped:
        tenant.assert_answered(f"{tenant.check}/{item['id']}", item, ITEM)


def rows_of(tenant: Tenant) -> Any:
    """Return the condition that an item is the tenant's."""
    series = SeriesRow.select(SeriesRow.id).join(TenantRow, on=TenantRow.id == SeriesRow.tenant_id)
    return HistoryItemRow.series_id << series.where(TenantRow.name == tenant.name)


def test_items_are_answered_as_the_plain_path_would(make_tenant: MakeTenant) -> None:
    attempts = MAPS.filter(lambda attempt: not {"message", "from"} & attempt.keys())

    @example([(AWKWARD_ITEM, "POST", JSON), (MANY_ATTEMPTS, "load", JSON)], [{"a b": 1}], XML, AWKWARD_ITEM)
    @example([(AWKWARD_ITEM, "container", XML), (MANY_ATTEMPTS, "PUT", XML)], [{}], JSON, MANY_ATTEMPTS)
    @given(
        st.lists(st.tuples(ANY_ITEM, WAYS, FORMATS), min_size=1, max_size=3),
        st.lists(attempts, max_size=2),
        FORMATS,
        ANY_ITEM,
    )
    @examples(0.5)
    def holds(items: list[tuple[Document, str, str]], more: list[Document], media_type: str, new: Document) -> None:
        tenant = make_tenant()
        for item, way, sent_as in items:
            record_item(tenant, item, way, sent_as)
        assert_items_answered(tenant)

        item_id = next(iter(tenant.stored))
        results = [{"notification_id": "n"}, *tenant.stored[item_id]["notification_results"]]
        tried = {**tenant.stored[item_id], "notification_results": results}
        for document in (tried, {**without_time(new), "notification_results": results}):
            url = f"{tenant.check}/{item_id}"
            read, answered, _ = tenant.send("PUT", url, document, ITEM, media_type)
            tenant.stored[item_id] = stored = completed(read, answered)
            for attempt in more:
                added, _, body = tenant.send(
                    "POST", f"{url}/notification_results/n/attempts", attempt, ATTEMPT, media_type
                )
                stored["notification_results"][0].setdefault("attempts", []).append(added)
                assert body == orjson.dumps(dump(ITEM, stored))
            assert_items_answered(tenant)

        stale = {"xml_version": MAPPING_VERSION + 1, "xml": "<stale/>"}
        last = key_of(max(tenant.stored, key=key_of))
        is_last = (HistoryItemRow.ticks == last.ticks) & (HistoryItemRow.clock_and_node == last.clock_and_node)
        for rows in (rows_of(tenant) & is_last, rows_of(tenant)):
            for columns in (stale, {"xml_version": MAPPING_VERSION, "xml": None}):
                tenant.db.execute(HistoryItemRow.update(columns).where(rows))
                assert_items_answered(tenant)

    holds()


def without_time(item: Document) -> Document:
    return {name: value for name, value in item.items() if name not in ("id", "timestamp")}


def without_null(value: Any) -> Any:
    """Return what XML can say of a run: an empty element of it is a text, never null."""
    if isinstance(value, dict):
        return {name: without_null(each) for name, each in value.items() if each is not None}
    return [without_null(each) for each in value] if isinstance(value, list) else value


def record_run(tenant: Tenant, run: Document, way: str, media_type: str) -> None:
    if way in ("PUT", "load"):
        run = {"id": 7, **run}
    if media_type == XML:
        run = without_null(run)
    if run.get("id") in tenant.stored:
        return
    if way == "load":
        tenant.load({"run": run})
        read = answered = run
    elif way == "container":
        read, answered, _ = tenant.send("POST", RUNS, {"runs": [run]}, RUNS_CONTAINER, media_type)
        read, answered = read["runs"][0], answered["runs"][0]
    else:
        url = RUNS if way == "POST" else f"{RUNS}/{run['id']}"
        read, answered, _ = tenant.send(way, url, run, RUN, media_type)
    tenant.stored[answered["id"]] = plainly_dumped(read, answered["id"])


def plainly_dumped(run: Document, run_id: int) -> Document:
    """Return what the schema makes of a run as it must be stored."""
    return dump(RUN, RUN.load(filled_in(run, run_id)))


def assert_runs_answered(tenant: Tenant) -> None:
    newest_first = sorted(
        tenant.stored.values(), key=lambda run: (parse_instant(run["dateCreated"]), run["id"]), reverse=True
    )
    brief = [{name: run[name] for name in run if name != "notificationObjects"} for run in newest_first]
    for query, runs in (
        ("", brief),
        ("?includeObjects=true", newest_first),
        ("?orderBy=ASC&includeObjects=false", brief[::-1]),
        ("?orderBy=ASC&includeObjects=1", newest_first[::-1]),
    ):
        page = {"page": 0, "runs": runs, "total": len(runs), "totalPages": 1}
        tenant.assert_answered(f"{RUNS}{query}", page, RUNS_PAGE)
    for run in newest_first:
        tenant.assert_answered(f"{RUNS}/{run['id']}", run, RUN)


def test_runs_are_answered_as_the_plain_path_would(make_tenant: MakeTenant) -> None:
    @given(st.lists(st.tuples(GIVEN_RUNS, WAYS, FORMATS), min_size=1, max_size=4), GIVEN_RUNS, FORMATS)
    @examples(0.5)
    def holds(runs: list[tuple[Document, str, str]], new: Document, media_type: str) -> None:
        tenant = make_tenant()
        for run, way, sent_as in runs:
            record_run(tenant, run, way, sent_as)
        assert_runs_answered(tenant)

        run_id = next(iter(tenant.stored))
        new = {**(without_null(new) if media_type == XML else new), "id": run_id}
        read, _, body = tenant.send("PUT", f"{RUNS}/{run_id}", new, RUN, media_type)
        tenant.stored[run_id] = plainly_dumped(read, run_id)
        assert body == orjson.dumps(tenant.stored[run_id])
        assert_runs_answered(tenant)

    holds()


def test_stored_texts_go_out_unread(client: FlaskClient, db: Database) -> None:
    item = item_at(NOW_MS)
    assert client.post(CHECK, json=item).status_code == 201
    assert client.post(RUNS, json=run_of(id=1, notificationObjects=OBJECTS)).status_code == 201
    db.execute(HistoryItemRow.update(document='{"stored": 1}', xml="<stored />"))
    db.execute(NotificationRunRow.update(document='{"stored": 1}', brief='{"brief": 1}'))
    url = f"{CHECK}/{item['id']}"
    assert client.get(url).data == b'{"stored": 1}'
    assert client.get(url, headers={"Accept": XML}).data.partition(b"\n")[2] == b"<stored />"
    assert b'"values":[{"stored": 1}]' in client.get(CHECK).data
    assert b"<values><stored /></values>" in client.get(CHECK, headers={"Accept": XML}).data
    assert client.get(f"{RUNS}/1").data == b'{"stored": 1}'
    assert b'"runs":[{"brief": 1}]' in client.get(RUNS).data
    assert b'"runs":[{"stored": 1}]' in client.get(f"{RUNS}?includeObjects=true").data
