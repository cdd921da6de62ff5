"""Dates as people, databases and programs write them, in the query strings and bodies of both APIs."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from notifhist.schemas.instants import format_instant, parse_instant
from tests.conftest import NOW_MS
from tests.http.helpers import CHECK, RUNS, XML, get_json, get_xml, item_at, post, run_of

AT = "2011-11-09T10:00:00.500Z"
AT_MS = parse_instant(AT)
DAY_MS = 24 * 3600 * 1000
FORMS = (
    "2011-11-09T10:00:00.500Z",
    "2011-11-09T10:00:00.500z",
    "2011-11-09t10:00:00.500z",
    "2011-11-09T12:00:00.500%2B02:00",
    "2011-11-09T12:00:00.500%2B0200",
    "2011-11-09T12:00:00.500%2B02",
    "2011-11-09T12:00:00.500+02:00",
    "2011-11-09T12:00:00.500+0200",
    "2011-11-09T12:00:00.500+02",
    "2011-11-09T06:00:00.500-04",
    "2011-11-09T10:00:00,500Z",
    "2011-11-09T10:00:00.500000000Z",
    "2011-11-09T10:00:00.5",
    "2011-11-09%2010:00:00.5",
    "2011-11-09+12:00:00.5+02",
)
"""One moment, as it stands in a URL."""


@pytest.fixture
def recorded(client: FlaskClient) -> None:
    """An item and a run of the moment, of a millisecond before and of one after."""
    for n in (-1, 0, 1):
        post(client, CHECK, item_at(AT_MS + n))
        post(client, RUNS, run_of(id=n, dateCreated=f"2011-11-09T10:00:00.{500 + n}Z"))


def numbers(client: FlaskClient, query: str) -> tuple[list[int], list[int]]:
    """Return the items and runs from one date to another, as milliseconds before or after the moment."""
    names = {"from=": "fromDate=", "to=": "untilDate="}
    of_runs = query
    for name, other in names.items():
        of_runs = of_runs.replace(name, other)
    items = get_json(client, f"{CHECK}?{query}")["values"]
    runs = get_json(client, f"{RUNS}?{of_runs}&orderBy=ASC")["runs"]
    return [item["timestamp"] - AT_MS for item in items], [run["id"] for run in runs]


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("form", FORMS)
def test_a_moment_is_taken_in_every_form(form: str, client: FlaskClient) -> None:
    assert numbers(client, f"from={form}") == ([0, 1], [0, 1])
    assert numbers(client, f"to={form}") == ([-1, 0], [-1, 0])


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("form", FORMS)
def test_a_moment_is_taken_for_answers_in_xml_too(form: str, client: FlaskClient) -> None:
    assert len(get_xml(client, f"{CHECK}?from={form}&to={form}").findall("values/*")) == 1
    assert len(get_xml(client, f"{RUNS}?fromDate={form}&untilDate={form}").findall("values/*")) == 1


def test_a_date_alone_is_its_whole_day(client: FlaskClient) -> None:
    midnight = parse_instant("2011-11-09")
    for n in (midnight - 1, midnight, midnight + DAY_MS - 1, midnight + DAY_MS):
        post(client, CHECK, item_at(n))
        post(client, RUNS, run_of(id=n - AT_MS, dateCreated=format_instant(n)))
    first, last = midnight - AT_MS, midnight + DAY_MS - 1 - AT_MS
    both = [first, last]
    assert numbers(client, "from=2011-11-09&to=2011-11-09") == (both, both)
    assert numbers(client, "to=2011-11-09") == ([first - 1, *both], [first - 1, *both])
    assert numbers(client, "from=2011-11-09") == ([*both, last + 1], [*both, last + 1])


def test_digits_alone_are_milliseconds_in_the_history(client: FlaskClient) -> None:
    post(client, CHECK, item_at(NOW_MS))
    assert get_json(client, f"{CHECK}?from={NOW_MS}&to={NOW_MS}")["metadata"]["count"] == 1
    assert get_json(client, f"{CHECK}?from=20111109")["metadata"]["count"] == 1
    assert client.get(f"{RUNS}?fromDate=20111109").status_code == 400


def test_the_next_page_keeps_the_dates(client: FlaskClient) -> None:
    for n in range(3):
        post(client, CHECK, item_at(AT_MS, n))
    first = get_json(client, f"{CHECK}?from=2011-11-09T12:00:00+02&to=2011-11-09&limit=2")
    second = get_json(client, first["metadata"]["next_href"])
    assert [len(page["values"]) for page in (first, second)] == [2, 1]


@pytest.mark.parametrize("form", [form.replace("%2B", "+").replace("%20", " ") for form in FORMS if "09+" not in form])
def test_a_run_has_its_dates_in_every_form(form: str, client: FlaskClient) -> None:
    members: dict[str, Any] = {"dateCreated": form, "dateUpdated": form}
    post(client, RUNS, run_of(id=1, **members))
    body = f"""<notification_run id="2"><dateCreated>{form}</dateCreated><dateUpdated>{form}</dateUpdated>
        <medium>EMAIL</medium><notificationType>WEEKLY_REPORT</notificationType><status>CREATED</status>
        </notification_run>"""
    assert client.post(RUNS, data=body, content_type=XML).status_code == 201
    for number in (1, 2):
        run = get_json(client, f"{RUNS}/{number}")
        assert (run["dateCreated"], run["dateUpdated"]) == (AT, AT)
