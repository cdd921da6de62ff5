"""The tables come to be, and what older ones held comes through."""

import hashlib
import json
import multiprocessing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from flask.testing import FlaskClient
from notifhist.store.counts import keeping as run_counts
from notifhist.store.runs.pages import list_runs
from playhouse.migrations import Runner

from notifhist.auth import ADMIN, RUNS_EDIT, new_key
from notifhist.factory import create_app
from notifhist.schemas.document import Document
from notifhist.schemas.fields import INT32, INT64, format_instant, parse_instant
from notifhist.schemas.history import ITEM
from notifhist.schemas.item_ids import key_of
from notifhist.schemas.query import RunsQuery
from notifhist.schemas.runs import FAILED_REASONS, IGNORED_REASONS, MEDIUMS, NOTIFICATION_TYPES, STATUSES
from notifhist.store import migrations
from notifhist.store.database import Database, ensure_connected, migrate, open_database, pending_migrations
from notifhist.store.models import (
    ApiKeyRow,
    HistoryItemRow,
    NotificationRunRow,
    RunCountRow,
    SeriesRow,
    TenantRow,
)
from notifhist.transfer.export import export_lines
from tests import plain_xml
from tests.conftest import MIGRATIONS, authorized
from tests.http.helpers import JSON, XML, id_at, item_at
from tests.property.strategies import AWKWARD_ITEM
from tests.recount import assert_counts_are_true

FOLDER = Path(migrations.__file__).parent
TABLES = (TenantRow, SeriesRow, HistoryItemRow, NotificationRunRow, RunCountRow, ApiKeyRow)
RUNS = "/api/v1/notifications/logs/run"


def migrate_when_all_are_ready(url: str, start: Any) -> list[str]:
    database = open_database(url, create=True)
    start.wait(timeout=60)
    ensure_connected(database)
    applied = migrate(database)
    database.close()
    return applied


def test_migrating_twice_changes_nothing(empty: Database) -> None:
    assert pending_migrations(empty) == MIGRATIONS
    assert migrate(empty) == MIGRATIONS
    assert pending_migrations(empty) == []
    assert migrate(empty) == []


def test_of_hosts_that_migrate_at_the_same_moment_one_does_it(empty_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(3) as pool:
        start = manager.Barrier(3)
        applied = pool.starmap(migrate_when_all_are_ready, [(empty_url, start)] * 3, chunksize=1)
    assert sorted(applied) == [[], [], MIGRATIONS]


def test_the_migrations_make_the_tables_of_the_models(db: Database) -> None:
    for model in TABLES:
        table = model._meta.table_name
        columns = {column.name: (column.null, column.primary_key) for column in db.get_columns(table)}
        key: Any = model._meta.primary_key
        key_names = set(getattr(key, "field_names", ()) or {key.name})
        assert columns == {
            name: (field.null, name in key_names) for name, field in model._meta.columns.items()
        }


# A database of the first edition: one text of each item, a column for each member of a run.

ITEMS: dict[tuple[str, str, str, str], list[Document]] = {
    ("b", "e", "a", "c"): [item_at(0), item_at(5, notification_results=[{"notification_id": "n"}])],
    ("a", "e", "a", "c"): [{**item_at(5), **AWKWARD_ITEM}, item_at(2**40, 1, state="é\0🚨")],
    ("a", "e", "a", "c2"): [dict(reversed(item_at(7, x=[2**64 - 1, -0.0, {"b": 1, "a": 2}]).items()))],
    ("ü'%", "1", "é x", "?"): [item_at(n, n) for n in range(3)],
    ("a", "e", "a", "empty"): [],
}


def some_runs() -> Iterator[Document]:
    """Yield runs in which each value of each filter occurs, at all times, with all that a text may hold."""
    dates = (
        "0001-01-01T00:00:00.000Z",
        "1969-12-31T23:59:59.999Z",
        "2024-07-29T15:51:28.071Z",
        "9999-12-31T23:59:59.999Z",
    )
    controls = "".join(map(chr, range(1, 32)))
    ids = (INT64[0], -1, 0, *range(2, len(NOTIFICATION_TYPES) - 2), 2**53 + 1)
    for n, (run_id, notification_type) in enumerate(zip(ids, NOTIFICATION_TYPES, strict=True)):
        about = {"cid": "c", "id": INT64[1], "name": "Straße", "tag": "a-tag", "type": "ENTITY", "url": "u"}
        run = {
            "dateCreated": dates[n % 4],
            "dateUpdated": dates[n % 3],
            "deliveredCount": INT64[n % 2],
            "errorMessage": [None, "", f'{controls}"\\/\x7f\u2028🚨 Stopped'][n % 3],
            "failedReason": (None, *FAILED_REASONS)[n % 5],
            "id": run_id,
            "ignoredReason": (None, *IGNORED_REASONS)[n % 4],
            "medium": MEDIUMS[n % 4],
            "notificationObjects": [None, [about], [about, {"id": 0, "name": "", "type": "SCORECARD"}]][
                n % 3
            ],
            "notificationType": notification_type,
            "originalRunId": (None, 1)[n % 2],
            "seqNo": INT32[n % 2],
            "status": STATUSES[n % 5],
            "summary": (None, "A summary")[n % 2],
        }
        yield {name: value for name, value in run.items() if value is not None}


OF_RUNS = {"a": list(some_runs()), "runs only": list(some_runs())[:2]}


def insert(db: Database, table: str, row: Mapping[str, object]) -> None:
    values = ", ".join([db.param] * len(row))
    sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({values})"
    db.execute_sql(sql, list(row.values()))


def fill(db: Database) -> dict[str, str]:
    """Fill a database of the first edition; return a key of each tenant."""
    for series_id, ((tenant, entity_id, alarm_id, check_id), items) in enumerate(ITEMS.items(), start=3):
        ids = {"tenant": tenant, "entity_id": entity_id, "alarm_id": alarm_id, "check_id": check_id}
        digest = hashlib.sha256(orjson.dumps([tenant, entity_id, alarm_id])).hexdigest()
        insert(db, "series", {"id": series_id, **ids, "alarm_digest": digest})
        for item in items:
            ticks, rest = key_of(item["id"])
            kept = {"ticks": ticks, "rest": rest, "document": orjson.dumps(item).decode()}
            insert(db, "history_item", {"series_id": series_id, **kept})
    for tenant, runs in OF_RUNS.items():
        for run in runs:
            insert(db, "notification_run", {"tenant": tenant, **columns_of(run)})
    keys = {}
    for tenant in sorted({*OF_RUNS, *(tenant for tenant, *_ in ITEMS)}):
        keys[tenant], key_id, secret_hash = new_key()
        about = {"name": "", "tenant": tenant, "roles": f"{ADMIN} {RUNS_EDIT}", "created": 0}
        insert(db, "api_key", {"id": key_id, "secret_hash": secret_hash, **about})
    return keys


def columns_of(run: Document) -> dict[str, object]:
    """Return the columns of a run, but its tenant, as the first edition filled them."""
    objects = run.get("notificationObjects", [])
    texts = [run.get("errorMessage"), run.get("summary")]
    texts += [one.get(name) for one in objects for name in ("name", "tag")]
    snake = {"".join(f"_{c.lower()}" if c.isupper() else c for c in name): run[name] for name in run}
    snake |= {name: parse_instant(str(snake[name])) for name in ("date_created", "date_updated")}
    if objects:
        snake["notification_objects"] = orjson.dumps(objects).decode()
    return snake | {"search_text": "X".join(text.casefold() for text in texts if text)}


Moved = dict[str, FlaskClient]
"""A client of each tenant."""


@pytest.fixture
def moved(empty: Database, empty_url: str) -> Iterator[Moved]:
    """Clients over a database of the first edition that has been migrated."""
    assert Runner(empty, directory=str(FOLDER)).up(MIGRATIONS[0]) == MIGRATIONS[:1]
    keys = fill(empty)
    assert migrate(empty) == MIGRATIONS[1:]
    app = create_app({"DATABASE_URL": empty_url, "RETENTION_DAYS": 0})
    yield {tenant: authorized(app, key) for tenant, key in keys.items()}
    app.extensions["notifhist"].db.close()


def test_an_export_has_every_record_of_the_first_edition(moved: Moved, empty: Database) -> None:
    items = [
        {"tenant": tenant, "entity_id": entity, "alarm_id": alarm, "check_id": check, "item": item}
        for (tenant, entity, alarm, check), items in ITEMS.items()
        for item in items
    ]
    runs = [{"tenant": tenant, "run": run} for tenant, runs in OF_RUNS.items() for run in runs]
    assert sorted(export_lines(empty)) == sorted(orjson.dumps(line) + b"\n" for line in [*items, *runs])
    for tenant in OF_RUNS:
        assert_counts_are_true(empty, tenant)


def check_url(ids: tuple[str, str, str, str]) -> str:
    _, entity_id, alarm_id, check_id = (quote(each) for each in ids)
    return f"/entities/{entity_id}/alarms/{alarm_id}/notification_history/{check_id}"


def test_items_of_the_first_edition_are_answered_in_both_formats(moved: Moved) -> None:
    for ids, items in ITEMS.items():
        client, url = moved[ids[0]], check_url(ids)
        for item in items:
            one = f"{url}/{item['id']}"
            assert client.get(one).data == orjson.dumps(item)
            assert client.get(one, headers={"Accept": XML}).data == plain_xml.render(item, ITEM)
        page = client.get(f"{url}?from=0").data
        assert orjson.dumps(items) in page


def test_items_of_the_first_edition_can_be_changed_and_new_ones_recorded(moved: Moved) -> None:
    client, url = moved["b"], check_url(("b", "e", "a", "c"))
    known = ITEMS["b", "e", "a", "c"][1]
    assert client.post(url, data=orjson.dumps(known), content_type=JSON).status_code == 200
    attempts = f"{url}/{known['id']}/notification_results/n/attempts"
    assert client.post(attempts, json={"message": "again"}).status_code == 201
    for check, clients in ((url, [client]), (f"{url}-new", moved.values())):
        for each in clients:
            posted = each.post(check, json=item_at(6))
            assert posted.status_code == 201
            assert each.get(posted.headers["Location"]).data == posted.data
    xml = client.get(f"{url}?from=0", headers={"Accept": XML}).data
    assert [xml.count(text) for text in (b"<message>again</message>", id_at(6).encode())] == [1, 1]


def ask(client: FlaskClient, query: str) -> tuple[int, list[int]]:
    """Return the total and the ids of the first page of runs."""
    page = json.loads(client.get(f"{RUNS}?orderBy=ASC&{query}").data)
    return page["total"], [run["id"] for run in page["runs"]]


@pytest.mark.parametrize("tenant", OF_RUNS)
def test_runs_of_the_first_edition_are_listed_counted_and_found(moved: Moved, tenant: str) -> None:
    runs = sorted(OF_RUNS[tenant], key=lambda run: (run["dateCreated"], run["id"]))
    client = moved[tenant]
    page = client.get(f"{RUNS}?orderBy=ASC&includeObjects=true").data
    assert page.startswith(b'{"page":0,"runs":' + orjson.dumps(runs) + b',"total":%d,' % len(runs))
    brief = [{name: run[name] for name in run if name != "notificationObjects"} for run in runs]
    assert orjson.dumps(brief) in client.get(f"{RUNS}?orderBy=ASC").data
    for run in runs:
        assert client.get(f"{RUNS}/{run['id']}").data == orjson.dumps(run)
    members = {"notificationTypes": NOTIFICATION_TYPES, "statuses": STATUSES, "mediums": MEDIUMS}
    members |= {"ignoredReasons": IGNORED_REASONS, "failedReasons": FAILED_REASONS}
    singular = {"notificationTypes": "notificationType", "statuses": "status"}
    for parameter, values in members.items():
        for value in values:
            member = singular.get(parameter, parameter.removesuffix("s"))
            ids = [run["id"] for run in runs if run.get(member) == value]
            assert ask(client, f"{parameter}={value}") == (len(ids), ids)
    for search in ("stOPPed", "STRASSE", "-t", "🚨", "\x1f", "no such text"):
        ids = [run["id"] for run in runs if search.casefold() in columns_of(run)["search_text"]]  # type: ignore[operator]
        assert ask(client, f"searchQuery={quote(search)}") == (len(ids), ids)
    assert ask(moved["b"], "") == (0, [])


def test_many_runs_of_the_first_edition_are_counted_in_small_buckets(empty: Database) -> None:
    assert Runner(empty, directory=str(FOLDER)).up(MIGRATIONS[0]) == MIGRATIONS[:1]
    begin, number = parse_instant("2026-11-01T00:00:00Z"), run_counts._MOST_UNDIVIDED + 100
    with empty.atomic():
        for n in range(number):
            run = OF_RUNS["a"][n % len(OF_RUNS["a"])] | {"id": n, "dateCreated": format_instant(begin + n)}
            insert(empty, "notification_run", {"tenant": "a", **columns_of(run)})
    assert migrate(empty) == MIGRATIONS[1:]
    assert_counts_are_true(empty, "a")
    query = RunsQuery("a", page_size=10, page=number // 10 - 1, descending=False)
    page = list_runs(empty, query)
    assert page.total == number
    ids = [run["id"] for run in orjson.loads(b"[%b]" % b",".join(page.runs.pieces))]
    assert ids == list(range(number - 10, number))


def test_runs_of_the_first_edition_can_be_changed_and_new_ones_recorded(
    moved: Moved, empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_counts, "_MOST_UNDIVIDED", 3)
    client, total = moved["a"], len(OF_RUNS["a"])
    known = OF_RUNS["a"][2]
    assert client.post(RUNS, json=known).status_code == 200
    moved_on = {**known, "dateCreated": "2000-01-01T00:00:00.000Z", "summary": "moved on"}
    assert client.put(f"{RUNS}/{known['id']}", json=moved_on).status_code == 200
    required = {name: known[name] for name in ("notificationType", "medium", "status")}
    # One in each part that has runs: a migrated part is divided when it next changes.
    years = ("0001", "1960", "2024", "9999")
    for created in (f"{year}-01-01T00:00:00Z" for year in years):
        posted = client.post(RUNS, json={**required, "dateCreated": created})
        assert posted.status_code == 201
    greatest = max(run["id"] for run in OF_RUNS["a"])
    assert posted.json is not None
    assert posted.json["id"] == greatest + len(years)
    assert ask(client, "")[0] == total + len(years)
    assert ask(client, "searchQuery=moved") == (1, [known["id"]])
    assert_counts_are_true(empty, "a")
    assert moved["b"].post(RUNS, json=known).status_code == 201
    assert ask(moved["b"], "") == (1, [known["id"]])
