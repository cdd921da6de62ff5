"""`load` and `export`, as processes, and what the service answers of what they brought."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from notifhist.schemas.query import CheckPath
from notifhist.store.machine import machine_directory
from notifhist.transfer.load import find_sources
from tests.conftest import NOW_MS, TENANT, every_row
from tests.contract.test_examples import COPIES, assert_answers, assert_is_json, example
from tests.http.helpers import CHECK, JSON, LOGS, RUNS, XML, get_json, item_at, log_of, run_of
from tests.records import count_items, count_runs, move_recent_deliveries
from tests.system.commands import (
    FIXTURES,
    FIXTURES_COUNTS,
    FIXTURES_RECORDS,
    application,
    client_of,
    item_line,
    run,
    write_lines,
)
from tests.system.service import opened

WHERE = ("--tenant", TENANT, "--entity", "enOne", "--alarm", "alOne", "--check", "chOne")
LIFELIKE_NOW = "2026-10-07T15:30:00Z"
RECORDS = ("tenant", "series", "history_item", "notification_run", "notification_log")
"""Tables in which rows are only ever added."""


def count(database_url: str) -> tuple[int, int]:
    """Return how many items and runs there are."""
    with opened(database_url) as db:
        return count_items(db), count_runs(db)


def rows(database_url: str) -> dict[str, list[str]]:
    """Return all rows, once recent deliveries are moved: whoever begins to record moves them if they are many."""
    with opened(database_url) as db:
        for (tenant,) in db.execute_sql("SELECT name FROM tenant").fetchall():
            move_recent_deliveries(db, tenant)
        return every_row(db)


def test_the_fixtures_tree_is_loaded_as_a_whole_once_and_answers_every_example(database_url: str) -> None:
    assert run(database_url, "load", FIXTURES).stderr == f"{FIXTURES_COUNTS}\n"
    before = rows(database_url)
    assert run(database_url, "load", FIXTURES).stderr == f"Stored 0, there already {FIXTURES_RECORDS + 3}, bad 0.\n"
    assert rows(database_url) == before
    with application(database_url) as app:
        client = client_of(app)
        for name in ("discovery.json", "discovery.xml", "list.json", "list.xml", "item.json", "item.xml"):
            assert_answers(client, name)
        published = get_json(client, f"{RUNS}?includeObjects=true&untilDate=2025-01-01")["runs"]
        assert json.dumps(published) == json.dumps(json.loads(example("runs.json"))["runs"])


TENANTS_OWN = {
    "runs.json": (WHERE[:2], f"{RUNS}?includeObjects=true"),
    "logs.json": ((*WHERE[:2], "--of", "logs"), LOGS),
}
"""Published pages of what belongs to a tenant as a whole: the options that say so, and the URL that answers it."""


@pytest.mark.parametrize("name", ["item.json", "item.xml", "list.json", "list.xml", *TENANTS_OWN])
def test_a_published_document_is_loaded_to_where_the_options_say(database_url: str, tmp_path: Path, name: str) -> None:
    published = FIXTURES / "published" / COPIES[name]
    document = tmp_path / f"any name{published.suffix}"
    shutil.copy(published, document)
    options, url = TENANTS_OWN.get(name, (WHERE, ""))
    assert run(database_url, "load", *options, document).stderr == "Stored 1, there already 0, bad 0.\n"
    with application(database_url) as app:
        client = client_of(app)
        if url:
            kind = name.removesuffix(".json")
            assert json.dumps(get_json(client, url)[kind]) == json.dumps(json.loads(example(name))[kind])
        else:
            for each in ("list.json", "list.xml", "item.json", "item.xml"):
                assert_answers(client, each)


def test_one_run_and_the_page_that_is_answered_are_loaded(database_url: str, tmp_path: Path) -> None:
    one = run_of(id=7, summary="one", dateCreated="2011-11-01T00:00:00.000Z")
    document = tmp_path / "T/api/v1/notifications/logs/run/7.json"
    document.parent.mkdir(parents=True)
    document.write_text(json.dumps(one))
    run(database_url, "load", tmp_path)
    with application(database_url) as app:
        client = client_of(app, tenant="T")
        answers = {"json": client.get(RUNS).data, "xml": client.get(RUNS, headers={"Accept": XML}).data}
        assert json.loads(answers["json"])["runs"][0]["summary"] == "one"
        for suffix, answer in answers.items():
            page = tmp_path / f"page.{suffix}"
            page.write_bytes(answer)
            loaded = run(database_url, "load", "--tenant", f"from {suffix}", page)
            assert loaded.stderr == "Stored 1, there already 0, bad 0.\n"
            again = client_of(app, tenant=f"from {suffix}")
            assert_is_json(again.get(RUNS), json.dumps(json.loads(answers["json"]), indent=2).encode())


FIRST, SECOND, OTHER = (item_at(NOW_MS - 1000 * n, state=state) for n, state in ((3, "A"), (2, "B"), (1, "C")))
BAD = {**SECOND, "notification_results": [{"success": "yes"}]}
WRONG = "The body does not fit. {}notification_results[0].success: Not a valid boolean"


def bad_json(folder: Path) -> tuple[Path, int, str]:
    path = folder / "list.json"
    path.write_text(json.dumps({"values": [FIRST, BAD]}, indent=1))
    return path, 9, WRONG.format("")


def bad_xml(folder: Path) -> tuple[Path, int, str]:
    path = folder / "list.xml"
    items = [
        f'<alarm_notification_history_item id="{item["id"]}"><state>{item["state"]}</state>\n'
        f"<notification_results>{result}</notification_results></alarm_notification_history_item>\n"
        for item, result in ((FIRST, ""), (SECOND, "<notification_result><success>yes</success></notification_result>"))
    ]
    path.write_text(f"<?xml version='1.0'?>\n<container><values>\n{''.join(items)}</values></container>")
    return path, 5, WRONG.format("")


def bad_lines(folder: Path) -> tuple[Path, int, str]:
    return write_lines(folder / "some.ndjson", [item_line(FIRST), item_line(BAD)]), 2, WRONG.format("item.")


def broken_line(folder: Path) -> tuple[Path, int, str]:
    path = write_lines(folder / "cut.ndjson", [item_line(FIRST), item_line(SECOND)])
    path.write_text(path.read_text()[:-3])  # as a full disk leaves it
    return path, 2, "The body is not JSON. Expecting ',' delimiter: column"


def contradicting_lines(folder: Path) -> tuple[Path, int, str]:
    lines = [item_line(FIRST), item_line(FIRST), item_line({**FIRST, "state": "D"}, "chTwo")]
    path = write_lines(folder / "twice.ndjson", [*lines, item_line({**FIRST, "state": "D"})])
    return path, 4, f"{FIRST['id']} is in line 1 already, with other content."


@pytest.mark.parametrize("make", [bad_json, bad_xml, bad_lines, broken_line, contradicting_lines])
def test_a_bad_record_is_named_by_file_and_line_and_nothing_of_its_file_is_stored(
    database_url: str, tmp_path: Path, make: Any
) -> None:
    path, line, problem = make(tmp_path)
    other = write_lines(tmp_path / "zz.ndjson", [item_line(OTHER)])
    refused = run(database_url, "load", *WHERE, path, other, code=1).stderr
    named, counts = refused.splitlines()
    assert named.startswith(f"{path}:{line}: {problem}")
    assert counts == "Stored 1, there already 0, bad 1."
    with application(database_url) as app:
        client = client_of(app)
        assert get_json(client, CHECK)["values"] == [OTHER]
        skipped = run(database_url, "load", *WHERE, "--skip-bad", path, other)
        assert skipped.stderr.splitlines()[0] == named
        assert FIRST in get_json(client, CHECK)["values"]
        assert BAD not in get_json(client, CHECK)["values"]


def test_a_record_that_is_there_with_other_content_is_named_and_changes_nothing(
    database_url: str, tmp_path: Path
) -> None:
    run_line = {"tenant": TENANT, "run": run_of(id=1)}
    run(database_url, "load", write_lines(tmp_path / "one.ndjson", [item_line(FIRST), run_line]))
    before = rows(database_url)
    changed = [item_line(SECOND), item_line({**FIRST, "state": "D"}), item_line(FIRST), item_line(OTHER)]
    changed += [{"tenant": TENANT, "run": run_of(id=1, status="FAILED")}, {"tenant": "T", "run": run_of(id=1)}]
    path = write_lines(tmp_path / "two.ndjson", changed)
    refused = run(database_url, "load", path, code=1).stderr.splitlines()
    problems = [
        f"{path}:2: {FIRST['id']} is there already, with other content.",
        f"{path}:5: 1 is there already, with other content.",
    ]
    assert refused == [*problems, "Stored 0, there already 0, bad 2."]
    assert rows(database_url) == before
    skipped = run(database_url, "load", "--skip-bad", path).stderr.splitlines()
    assert skipped == [*problems, "Stored 3, there already 1, bad 2."]
    after = rows(database_url)
    assert all(set(before[table]) <= set(after[table]) for table in RECORDS)


def test_what_cannot_be_loaded_by_name_is_named(sqlite_database: str, tmp_path: Path) -> None:
    discovery = FIXTURES / "published" / COPIES["discovery.json"]
    error = FIXTURES / "published" / COPIES["runs-403.json"]
    refused = run(sqlite_database, "load", discovery, error, code=1).stderr.splitlines()
    assert refused == [
        f"{discovery}:1: This list of checks follows from their items; load those.",
        f"{error}:1: Where does it belong? Give --tenant, and --entity, --alarm and --check or --of.",
        "Stored 0, there already 0, bad 2.",
    ]
    nothing = run(sqlite_database, "load", error.parent, code=1).stderr
    assert "No file to load" in nothing
    assert "--tenant" in nothing


def test_items_without_an_id_are_skipped_when_loaded_again(database_url: str, tmp_path: Path) -> None:
    items = [{"timestamp": NOW_MS - 1, "state": state, "notification_results": []} for state in "ABA"]
    path = write_lines(tmp_path / "a.ndjson", [item_line(item) for item in items])
    assert run(database_url, "load", path).stderr == "Stored 2, there already 1, bad 0.\n"
    assert run(database_url, "load", path).stderr == "Stored 0, there already 3, bad 0.\n"
    with application(database_url) as app:
        values = get_json(client_of(app), CHECK)["values"]
        assert [list(value) for value in values] == [["id", *items[0]]] * 2


def checks() -> set[CheckPath]:
    """Return all checks of the fixtures."""
    owners = {source.destination.owner for source in find_sources([FIXTURES], None) if source.destination}
    return {owner for owner in owners if isinstance(owner, CheckPath)}


def pages(client: FlaskClient, url: str | None) -> Iterator[tuple[str, bytes]]:
    """Yield each page from `url` on, in both formats, with the question that it answers."""
    while url:
        for accept in (XML, JSON):
            response = client.get(url, headers={"Accept": accept})
            assert response.status_code == 200, response.text
            yield f"{accept} {url}", response.data
        url = json.loads(response.data).get("metadata", {}).get("next_href")


def answers(database_url: str) -> dict[str, bytes]:
    """Return what the service answers to every question that clients of the fixtures may have."""
    found: dict[str, bytes] = {}
    with application(database_url, NOW=LIFELIKE_NOW, RETENTION_DAYS=0) as app:
        clients = {tenant: client_of(app, tenant) for tenant in (TENANT, "654321", "777000")}
        for path in sorted(checks(), key=repr):
            client = clients[path.tenant]
            entity, alarm, check = (quote(part, safe="") for part in (path.entity_id, path.alarm_id, path.check_id))
            base = f"/v1.0/{path.tenant}/entities/{entity}/alarms/{alarm}/notification_history"
            for url in (base, f"{base}/{check}?from=0&limit=30", f"{base}/{check}?reverse=true&limit=1000"):
                found.update(pages(client, url))
            newest = get_json(client, f"{base}/{check}?from=0&reverse=true")["values"][0]
            found.update(pages(client, f"{base}/{check}/{newest['id']}"))
        for tenant, client in clients.items():
            for query in ("", "includeObjects=true&pageSize=7&page=2", "statuses=FAILED", "searchQuery=a&orderBy=ASC"):
                answered = pages(client, f"{RUNS}?{query}")
                found.update((f"{tenant} {url}", page) for url, page in answered)
            for query in (
                "",
                "pageSize=7&page=20",
                "recipientTypes=TEAM&mediums=SLACK",
                "recipientEmails=ops@example.com",
            ):
                answered = pages(client, f"{LOGS}?{query}")
                found.update((f"{tenant} {url}", page) for url, page in answered)
    return found


@pytest.mark.long
def test_an_export_loaded_elsewhere_answers_the_same_byte_for_byte(
    sqlite_database: str, postgres_database: str, tmp_path: Path
) -> None:
    run(sqlite_database, "load", FIXTURES)
    expected = answers(sqlite_database)
    assert len(expected) > 250
    assert len({*expected.values()}) > 200
    # Half of it has expired by then; an export holds it all.
    there = run(sqlite_database, "export", NOW="2026-11-03T12:00:00Z").stdout
    first = tmp_path / "first.ndjson"
    first.write_text(there)
    assert run(postgres_database, "load", first).stderr == f"Stored {FIXTURES_RECORDS}, there already 0, bad 0.\n"
    assert answers(postgres_database) == expected
    second = tmp_path / "second.ndjson"
    assert run(postgres_database, "export", "--output", second).stdout == ""
    assert sorted(second.read_text().splitlines()) == sorted(there.splitlines())
    back = f"sqlite:///{tmp_path}/back.db"
    assert run(back, "load", second).stderr == f"Stored {FIXTURES_RECORDS}, there already 0, bad 0.\n"
    assert answers(back) == expected
    shutil.rmtree(machine_directory(back), ignore_errors=True)


def test_an_export_has_lines_that_name_the_place_of_a_record_and_no_keys(database_url: str, tmp_path: Path) -> None:
    one, log = ({**each, "dateCreated": "2011-11-01T00:00:00.000Z"} for each in (run_of(id=2), log_of(id=3)))
    lines = [item_line(FIRST), {"tenant": TENANT, "run": one}, {"tenant": TENANT, "log": log}]
    run(database_url, "load", write_lines(tmp_path / "a.ndjson", lines))
    key = run(database_url, "keys", "create", "--tenant", TENANT, "--role", "monitoring:observer").stdout
    exported = run(database_url, "export").stdout
    item, recorded, recorded_log = map(json.loads, exported.splitlines())
    assert json.dumps(item) == json.dumps(item_line(FIRST))
    assert list(recorded) == ["tenant", "run"]
    assert recorded["run"].items() >= one.items()
    assert list(recorded_log) == ["tenant", "log"]
    assert recorded_log["log"].items() >= log.items()
    assert key.split("_")[1] not in exported


def test_an_empty_database_has_an_empty_export(database_url: str, tmp_path: Path) -> None:
    output = tmp_path / "empty.ndjson"
    run(database_url, "export", "--output", output)
    assert output.read_bytes() == b""
    assert run(database_url, "load", output).stderr == "Stored 0, there already 0, bad 0.\n"
