"""The published examples: what goes in comes out again, exactly, in either format."""

import json
from pathlib import Path
from urllib.parse import unquote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from lxml import etree
from werkzeug.test import TestResponse

from tests.conftest import NOW_MS, TENANT, MakeApp, MakeKey, authorized
from tests.http.helpers import ALARM, JSON, LOGS, RUNS, XML, read_xml, validated

EXAMPLES = Path(__file__).parent / "examples"
FIXTURES = Path(__file__).parents[2] / "fixtures" / "published"
CHECK = f"{ALARM}/chOne"
ITEM = f"{CHECK}/646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26"
ALL_RUNS = f"{RUNS}?includeObjects=true"
URLS = {"discovery": ALARM, "list": CHECK, "item": ITEM}

HISTORY = "entities/enOne/alarms/alOne/notification_history"
COPIES = {
    "discovery.json": f"{TENANT}/{HISTORY}.json",
    "discovery.xml": f"{TENANT}/{HISTORY}.xml",
    "item.json": f"{TENANT}/{HISTORY}/chOne/646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26.json",
    "item.xml": f"{TENANT}/{HISTORY}/chOne/646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26.xml",
    "list.json": f"{TENANT}/{HISTORY}/chOne.json",
    "list.xml": f"{TENANT}/{HISTORY}/chOne.xml",
    "runs.json": f"{TENANT}/api/v1/notifications/logs/run.json",
    "logs.json": f"{TENANT}/api/v1/notifications/logs.json",
    "runs-403.json": "errors/runs-403.json",
    "runs-429.json": "errors/runs-429.json",
}


def example(name: str) -> bytes:
    return (EXAMPLES / name).read_bytes()


def record(client: FlaskClient, url: str, body: bytes, suffix: str, accept: str = JSON) -> TestResponse:
    content_type = {"json": JSON, "xml": XML}[suffix]
    response = client.post(url, data=body, content_type=content_type, headers={"Accept": accept})
    assert response.status_code == 201, response.text
    return response


def assert_is_json(response: TestResponse, expected: bytes) -> None:
    """Assert that the text is the same, blanks aside; members in their order."""
    assert (response.status_code, response.content_type) == (200, JSON)
    assert json.dumps(json.loads(response.data), indent=2) == expected.decode().strip()


def canonical(xml: bytes) -> bytes:
    """Return C14N of `xml`, white space between elements left out."""
    return etree.tostring(etree.fromstring(xml, etree.XMLParser(remove_blank_text=True)), method="c14n")


def assert_is_xml(response: TestResponse, expected: bytes) -> None:
    read_xml(response)
    assert canonical(response.data) == canonical(expected)


def assert_answers(client: FlaskClient, name: str) -> None:
    """Assert that the URL of an example answers it, by the example's format."""
    stem, _, suffix = name.partition(".")
    response = client.get(URLS[stem], headers={"Accept": {"json": JSON, "xml": XML}[suffix]})
    {"json": assert_is_json, "xml": assert_is_xml}[suffix](response, example(name))


def test_every_example_is_here() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == set(COPIES)


@pytest.mark.parametrize("name", [name for name in COPIES if name.endswith(".xml")])
def test_the_examples_in_xml_are_valid(name: str) -> None:
    validated(example(name))


@pytest.mark.parametrize("name", COPIES)
def test_the_copy_among_the_fixtures_is_the_same_byte_for_byte(name: str) -> None:
    assert (FIXTURES / COPIES[name]).read_bytes() == example(name)


@pytest.mark.parametrize("answered", ["item.json", "item.xml", "list.json", "list.xml"])
@pytest.mark.parametrize("posted", ["item.json", "item.xml", "list.json", "list.xml"])
def test_an_example_that_is_posted_is_answered_in_either_format(
    client: FlaskClient, posted: str, answered: str
) -> None:
    record(client, CHECK, example(posted), posted.partition(".")[2])
    assert_answers(client, answered)


@pytest.mark.parametrize("answered", ["discovery.json", "discovery.xml"])
def test_the_checks_that_have_history_are_discovered(client: FlaskClient, answered: str) -> None:
    for check_id in ("chTwo", "chOne"):
        record(client, f"{ALARM}/{check_id}", example("item.json"), "json")
    assert_answers(client, answered)


@pytest.mark.parametrize("name", ["item.json", "item.xml", "list.json", "list.xml"])
def test_the_answer_to_recording_is_what_was_recorded(client: FlaskClient, name: str) -> None:
    suffix = name.partition(".")[2]
    response = record(client, CHECK, example(name), suffix, accept={"json": JSON, "xml": XML}[suffix])
    if suffix == "xml":
        item = read_xml(response, 201).getroottree().find(".//notification_results")
        expected = etree.fromstring(example("item.xml")).find("notification_results")
        assert item is not None
        assert expected is not None
        assert canonical(etree.tostring(item)) == canonical(etree.tostring(expected, with_tail=False))
    else:
        document = json.loads(response.data)
        item_text = json.dumps(document["values"][0] if "values" in document else document, indent=2)
        assert item_text == example("item.json").decode().strip()


def fixture_urls() -> list[tuple[str, Path]]:
    """Return each fixture that can be posted with the URL to post it to, as its path says it."""
    found = []
    for path in sorted((FIXTURES / TENANT).rglob("*.*")):
        url = "/" + "/".join(map(unquote, path.relative_to(FIXTURES / TENANT).with_suffix("").parts))
        if url.endswith("/notification_history"):
            continue  # discovery is answered only
        found.append((url.rpartition("/")[0] if "/chOne/" in url else url, path))
    return found


@pytest.mark.parametrize("posted", [path for _, path in fixture_urls()], ids=[path.name for _, path in fixture_urls()])
def test_each_fixture_is_recorded_where_its_path_says(client: FlaskClient, posted: Path) -> None:
    url = {path: url for url, path in fixture_urls()}[posted]
    record(client, url, posted.read_bytes(), posted.suffix[1:])
    if url == RUNS:
        assert json.loads(client.get(ALL_RUNS).data)["runs"] == json.loads(example("runs.json"))["runs"]
    elif url == LOGS:
        assert_is_json(client.get(LOGS), example("logs.json"))
    elif url.endswith("/chOne"):
        for answered in ("item.json", "item.xml", "list.json", "list.xml"):
            assert_answers(client, answered)
    else:
        answered_text = json.dumps(json.loads(client.get(url).data)["values"])
        assert answered_text == json.dumps(json.loads(posted.read_bytes())["values"])


@pytest.mark.parametrize("suffix", ["json", "xml"])
def test_all_fixtures_together_answer_every_example(client: FlaskClient, suffix: str) -> None:
    for url, path in fixture_urls():
        if path.name in ("chOne.json", "chTwo.json"):
            record(client, url, path.read_bytes(), "json")
    for stem in URLS:
        assert_answers(client, f"{stem}.{suffix}")


def test_the_runs_are_answered_with_their_objects_in_published_order(client: FlaskClient) -> None:
    record(client, RUNS, example("runs.json"), "json")
    response = client.get(ALL_RUNS)
    assert response.content_type == JSON
    page, published = json.loads(response.data), json.loads(example("runs.json"))
    assert json.dumps(page["runs"], indent=2) == json.dumps(published["runs"], indent=2)
    assert list(page) == list(published)
    assert (page["page"], page["total"], page["totalPages"]) == (0, 1, 1)


def test_a_published_run_is_answered_alone_too(client: FlaskClient) -> None:
    record(client, RUNS, example("runs.json"), "json")
    run = json.loads(example("runs.json"))["runs"][0]
    assert json.dumps(json.loads(client.get(f"{RUNS}/1").data)) == json.dumps(run)


def test_the_runs_in_xml_can_be_posted_for_another_tenant(app: Flask, client: FlaskClient, make_key: MakeKey) -> None:
    record(client, RUNS, example("runs.json"), "json")
    answered = client.get(ALL_RUNS, headers={"Accept": XML})
    page = read_xml(answered)
    assert [child.tag for child in page] == ["values", "metadata"]
    assert [run.get("id") for run in page.iterfind("values/notification_run")] == ["1"]
    assert [(each.tag, each.text) for each in page.iterfind("metadata/*")] == [
        ("page", "0"),
        ("total", "1"),
        ("totalPages", "1"),
    ]
    other = authorized(app, make_key(tenant="654321"))
    record(other, RUNS, answered.data, "xml")
    runs = json.loads(other.get(ALL_RUNS).data)["runs"]
    assert json.dumps(runs) == json.dumps(json.loads(example("runs.json"))["runs"])


def test_the_log_is_answered_as_published_in_either_format(app: Flask, client: FlaskClient, make_key: MakeKey) -> None:
    record(client, LOGS, example("logs.json"), "json")
    assert_is_json(client.get(LOGS), example("logs.json"))
    assert_is_json(
        client.get(f"{LOGS}/9108"), json.dumps(json.loads(example("logs.json"))["logs"][0], indent=2).encode()
    )
    answered = client.get(LOGS, headers={"Accept": XML})
    page = read_xml(answered)
    assert [child.tag for child in page] == ["values", "metadata"]
    assert [log.get("id") for log in page.iterfind("values/notification_log")] == ["9108"]
    other = authorized(app, make_key(tenant="654321"))
    record(other, LOGS, answered.data, "xml")
    assert_is_json(other.get(LOGS), example("logs.json"))


def test_a_403_has_the_members_of_the_published_one(client: FlaskClient) -> None:
    error = client.get(RUNS, headers={"Authorization": "Bearer none"})
    assert (error.status_code, error.content_type) == (403, JSON)
    given, published = json.loads(error.data), json.loads(example("runs-403.json"))
    assert list(given) == list(published)
    assert [type(value) for value in given.values()] == [type(value) for value in published.values()]
    assert (given["httpStatus"], given["gatewayHttpStatus"], given["type"]) == (403, 0, "FORBIDDEN")


def test_a_429_has_the_members_of_the_published_one(make_app: MakeApp, key: str) -> None:
    client = authorized(make_app(RUNS_RATE_LIMIT="1/minute"), key)
    assert client.get(RUNS).status_code == 200
    error = client.get(RUNS, headers={"Accept": XML})
    assert (error.status_code, error.content_type) == (429, "application/problem+json")
    given, published = json.loads(error.data), json.loads(example("runs-429.json"))
    assert list(given) == list(published)
    assert [type(value) for value in given.values()] == [type(value) for value in published.values()]
    assert given["status"] == 429
    assert given["retryAfter"] == int(error.headers["Retry-After"]) == 60
    assert given["title"]
    assert given["type"]


def test_the_example_lies_within_the_window_of_the_clock_of_these_tests() -> None:
    published = json.loads(example("item.json"))["timestamp"]
    assert NOW_MS - 7 * 86_400_000 <= published <= NOW_MS
