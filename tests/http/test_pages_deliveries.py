"""The list of deliveries for people: the rows of the API, its filters, pages, files, and why it is empty."""

from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import NOW_MS, TENANT, MakeApp, MakeKey, authorized
from tests.http.delivery_data import DAY, DELIVERIES, HOUR, check_of, ids, seed
from tests.http.helpers import get_json, item_at, post
from tests.http.pages import LIST, ids_on, link_of, page_at, signed_in, text_of

BAD = {
    "from": "yesterday",
    "to": "2011-13-01",
    "since": "1h",
    "outcome": "lost",
    "limit": "0",
    "tz": "mars",
    "live": "yes",
    "reverse": "perhaps",
    "marker": "x",
    "rows": "all",
    "q": "a\0b",
    "state": "\0",
}
"""A value of each parameter that does not fit."""


@pytest.fixture
def browser(app: Flask, key: str, client: FlaskClient) -> FlaskClient:
    """A browser that has signed in to a service with deliveries."""
    seed(client)
    return signed_in(app, key)


QUERIES = [
    "",
    "since=7d",
    "outcome=failed&since=7d",
    "outcome=failed&outcome=sent&notification_type=email,sms",
    "entity_id=enOne&limit=7&since=30d",
    "notification_id=ntMail&state=OK&since=7d",
    "q=status+1&since=7d&reverse=false",
    f"from={NOW_MS - 30 * HOUR}&to={NOW_MS - HOUR}&alarm_id=al1",
    "from=2011-11-09&to=2011-11-09&limit=100",
]


def of_api(query: str) -> str:
    """Return the query of the API that means what a query of the page means."""
    given = dict(parse_qs(query))
    hours = {"24h": 24, "7d": 168, "30d": 720}[given.pop("since", ["24h"])[0]]
    window = [] if "from" in given else [f"from={NOW_MS - hours * HOUR}"]
    kept = [part for part in query.split("&") if part and not part.startswith(("since=", "reverse="))]
    reverse = given.get("reverse", ["true"])[0]
    return "&".join([*kept, *window, f"reverse={reverse}"])


def test_a_page_has_the_rows_and_the_total_of_the_api(browser: FlaskClient, client: FlaskClient) -> None:
    for query in QUERIES:
        page, same = page_at(browser, f"{LIST}?{query}"), get_json(client, f"{DELIVERIES}?{of_api(query)}")
        assert ids_on(page) == ids(same["values"]), query
        assert ids_on(page)
        assert page.get_element_by_id("total").text == str(same["metadata"]["total"])


@pytest.mark.parametrize("word", ["csv", "ndjson"])
def test_a_file_is_the_one_of_the_api(browser: FlaskClient, client: FlaskClient, word: str) -> None:
    for query in QUERIES:
        of_page, same = browser.get(f"{LIST}.{word}?{query}"), client.get(f"{DELIVERIES}?{of_api(query)}&format={word}")
        assert of_page.status_code == 200
        assert of_page.data == same.data
        for name in ("Content-Type", "Content-Disposition"):
            assert of_page.headers[name] == same.headers[name]
        link = link_of(page_at(browser, f"{LIST}?{query}"), word.upper())
        assert link is not None
        without_limit = [pair for pair in parse_qsl(query) if pair[0] != "limit"]
        assert sorted(parse_qsl(urlsplit(link).query)) == sorted(without_limit)


def test_a_file_has_a_row_for_each_attempt_too(browser: FlaskClient, client: FlaskClient) -> None:
    of_page = browser.get(f"{LIST}.csv?rows=attempts&limit=3")
    assert of_page.data == client.get(f"{DELIVERIES}?{of_api('rows=attempts&limit=3')}&format=csv").data


@pytest.mark.parametrize("order", ["true", "false"])
def test_pages_lead_forth_and_back(browser: FlaskClient, client: FlaskClient, order: str) -> None:
    whole = get_json(client, f"{DELIVERIES}?{of_api(f'since=7d&reverse={order}')}&limit=1000")["values"]
    url: str | None = f"{LIST}?since=7d&limit=30&reverse={order}"
    if order == "true":
        url = f"{LIST}?since=7d&limit=30"
    forth: list[list[str]] = []
    while url:
        page = page_at(browser, url)
        forth.append(ids_on(page))
        last, url = url, link_of(page, "Next")
    assert len(forth) > 3
    assert [each for some in forth for each in some] == ids(whole)
    back, url = [], last
    while url:
        page = page_at(browser, url)
        back.append(ids_on(page))
        url = link_of(page, "Previous")
    assert back == forth[::-1]


def test_what_a_form_sends_in_vain_is_left_out_of_the_url(browser: FlaskClient) -> None:
    form = "q=&since=24h&outcome=failed&entity_id=&alarm_id=&from=&to=&limit=50&tz=utc&reverse=true&unknown=x"
    response = browser.get(f"{LIST}?{form}")
    assert (response.status_code, response.headers["Location"]) == (303, f"{LIST}?outcome=failed")
    response = browser.get(f"{LIST}?since=7d&from={NOW_MS - DAY}&q=a%26b&q=")
    assert (response.status_code, response.headers["Location"]) == (303, f"{LIST}?from={NOW_MS - DAY}&q=a%26b")


def assert_marked_alone(browser: FlaskClient, name: str) -> None:
    given = {"q": "mail", "outcome": "failed", "entity_id": "en<b>One", "since": "7d", "limit": "7"} | {name: BAD[name]}
    response = browser.get(LIST, query_string=given)
    if response.status_code == 303:  # `from` takes the place of `since`
        response = browser.get(response.headers["Location"])
        del given["since"]
    assert response.status_code == 400
    page = page_at(browser, f"{LIST}?{response.request.query_string.decode()}", 400)
    assert page.xpath("//*[@role='alert']//li")[0].text.startswith(f"{name}: ")
    marked = page.xpath("//*[@aria-invalid='true']")
    assert {each.get("name") for each in marked} <= {name, None}
    assert marked
    assert not ids_on(page)
    if name not in ("q", "state"):
        (form,) = page.xpath("//form[@data-filters]")
        sent = [(field, value) for field, value in form.form_values() if value and field != "shown"]
        assert {field: value for field, value in sent if field != name} == {
            field: value for field, value in given.items() if field not in (name, "marker")
        } | ({"since": "24h"} if "since" not in given and name != "from" else {})


def test_a_bad_value_is_marked_and_everything_else_is_kept(app: Flask, key: str) -> None:
    browser = signed_in(app, key)
    for name in BAD:
        assert_marked_alone(browser, name)


def test_a_file_of_a_bad_query_is_an_error_page(browser: FlaskClient) -> None:
    page = page_at(browser, f"{LIST}.csv?limit=0", 400)
    assert "limit: Must be an integer from 1 to 1000" in text_of(page)


def test_a_copied_link_shows_the_same_rows_tomorrow(
    browser: FlaskClient, client: FlaskClient, make_app: MakeApp, key: str
) -> None:
    first = page_at(browser, f"{LIST}?outcome=failed&limit=5&live=1")
    second = page_at(browser, link_of(first, "Next") or "")
    for n, page in enumerate((first, second)):
        link = link_of(page, "Copy link")
        assert link is not None
        assert link.startswith(f"http://localhost{LIST}?")
        query = dict(parse_qsl(urlsplit(link).query))
        assert (query["from"], query["to"]) == (str(NOW_MS - DAY), str(NOW_MS))
        assert "live" not in query
        post(client, check_of(), item_at(NOW_MS - HOUR, 77 + n, notification_results=[{"success": True}]))
        tomorrow = signed_in(make_app(NOW=NOW_MS + DAY), key)
        assert ids_on(page_at(tomorrow, link)) == ids_on(page)
    assert ids_on(first) != ids_on(second)


def test_the_title_says_what_is_shown(browser: FlaskClient) -> None:
    page = page_at(browser, f"{LIST}?outcome=failed&notification_id=ntHook&since=7d")
    total = page.get_element_by_id("total").text
    assert page.findtext(".//title") == f"{total} failed · ntHook · notifhist"


def test_one_delivery_is_no_plural(app: Flask, key: str, client: FlaskClient) -> None:
    browser = signed_in(app, key)
    for n, words in enumerate(("1 delivery", "2 deliveries")):
        post(client, check_of(), item_at(NOW_MS - HOUR, n))
        page = page_at(browser, LIST)
        assert page.findtext(".//title") == f"{words} · notifhist"
        assert f"{words} from" in text_of(page)


def test_a_row_says_it_in_words(app: Flask, key: str, client: FlaskClient) -> None:
    result = {
        "notification_id": "ntHook",
        "notification_type": "webhook",
        "notification_details": {"url": "https://example.com/hook"},
        "success": False,
        "message": "HTTP 503",
        "attempts": [{"message": "HTTP 503", "from": "ele"}] * 3,
    }
    item = item_at(NOW_MS - 180_000, state="CRITICAL", previous_state="OK", notification_results=[result])
    post(client, check_of(), item)
    page = page_at(signed_in(app, key), LIST)
    (row,) = page.xpath("//tr[@data-id]")
    assert [" ".join(cell.text_content().split()) for cell in row] == [
        *("2011-11-10 00:57:00 3 min ago", "failed", "alOne on enOne", "OK→CRITICAL"),
        *("webhook · ntHookhttps://example.com/hook", "3", "HTTP 503"),
    ]
    (time,) = row.xpath(".//time")
    assert time.get("datetime") == "2011-11-10T00:57:00Z"
    assert not row.xpath(".//a[starts-with(@href, 'http')]")  # a click would call the receiver


def test_what_was_not_sent_says_whether_it_was_held_back(app: Flask, key: str, client: FlaskClient) -> None:
    result = {"notification_id": "ntMail", "notification_type": "email", "success": True}
    held_back: dict[str, Any] = {"suppressions": ["spNight"]}
    for n, members in enumerate(({**held_back, "notification_results": [result]}, held_back, {})):
        post(client, check_of(), item_at(NOW_MS - n * HOUR, n, **members))
    browser = signed_in(app, key)
    page = page_at(browser, LIST)
    said = ["not sent held back", "not sent held back", "not sent nobody to tell"]
    assert [text_of(row[1]) for row in page.xpath("//tr[@data-id]")] == said
    alarm = page_at(browser, "/ui/entities/enOne/alarms/alOne")
    assert [text_of(each) for each in alarm.xpath("//div[@class='split-row']/a")] == said
    assert [text_of(each) for each in page_at(browser, "/ui/alarms").xpath("//tbody//*[@class='why']")] == ["held back"]


def test_a_row_leads_to_the_result_that_it_is(app: Flask, key: str, client: FlaskClient) -> None:
    results = [{"notification_id": f"nt{n}", "success": n != 1, "message": f"said {n}"} for n in range(3)]
    post(client, check_of(), item_at(NOW_MS, notification_results=results))
    browser = signed_in(app, key)
    for row in page_at(browser, LIST).xpath("//tr[@data-id]"):
        url, _, fragment = row.xpath(".//a[@data-open]")[0].get("href").partition("#")
        assert text_of(row[6]) in text_of(page_at(browser, url).get_element_by_id(fragment))


@pytest.mark.parametrize(
    ("chosen", "kept"), [("7d", "since=7d"), ("24h", ""), ("month", "from=2011-10-01&to=2011-10-31")]
)
def test_a_span_that_is_chosen_takes_the_place_of_the_time_that_was_shown(
    browser: FlaskClient, chosen: str, kept: str
) -> None:
    page = page_at(browser, f"{LIST}?from={NOW_MS - 3 * DAY}&to={NOW_MS - 2 * DAY}&outcome=failed")
    (form,) = page.xpath("//form[@data-filters]")
    response = browser.get(LIST, query_string=form.form_values())
    assert "since" not in response.headers["Location"]
    form.fields["since"] = chosen
    response = browser.get(LIST, query_string=form.form_values())
    query = urlsplit(response.headers["Location"]).query
    assert sorted(parse_qsl(query)) == sorted(parse_qsl(f"outcome=failed&{kept}"))


@pytest.mark.parametrize("usual", ["24h", "7d", "month"])
def test_a_time_that_is_typed_takes_the_place_of_the_span_that_was_shown(browser: FlaskClient, usual: str) -> None:
    response = browser.get(f"{LIST}?since={usual}&from=2011-11-09")
    assert response.headers["Location"] == f"{LIST}?from=2011-11-09"


def test_last_month_becomes_its_days(browser: FlaskClient) -> None:
    response = browser.get(f"{LIST}?since=month&shown=from&from=2011-11-01T08:00&outcome=failed")
    assert (response.status_code, response.headers["Location"]) == (
        303,
        f"{LIST}?outcome=failed&from=2011-10-01&to=2011-10-31",
    )
    page = page_at(browser, response.headers["Location"])
    values = {name: page.xpath(f"//input[@name='{name}']")[0].get("value") for name in ("from", "to")}
    assert values == {"from": "2011-10-01T00:00", "to": "2011-10-31T23:59:59.999"}
    assert "What is older than 30 d is not kept." in text_of(page)
    assert "is not kept" not in text_of(page_at(browser, f"{LIST}?since=30d"))


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2011-11-09", "2011-11-09T00:00"),
        (str(NOW_MS - 1), "2011-11-10T00:59:59.999"),
        ("2011-11-09T08:30:07%2B02:00", "2011-11-09T06:30:07"),
        ("-5", None),
    ],
)
def test_a_time_is_shown_by_a_picker_and_sent_on_as_it_is(browser: FlaskClient, given: str, shown: str | None) -> None:
    (field,) = page_at(browser, f"{LIST}?from={given}").xpath("//input[@name='from']")
    assert (field.get("type"), field.get("value")) == (("datetime-local", shown) if shown else (None, given))
    if shown:
        both = [ids_on(page_at(browser, f"{LIST}?from={each}")) for each in (given, shown)]
        assert both[0] == both[1]


def reason(page: object) -> str:
    (empty,) = page.xpath("//*[@data-reason]")  # type: ignore[attr-defined]
    return str(empty.get("data-reason"))


def test_an_empty_list_says_why(make_app: MakeApp, key: str, client: FlaskClient) -> None:
    browser = signed_in(make_app(RETENTION_DAYS=30), key)
    page = page_at(browser, LIST)
    assert reason(page) == "nothing recorded"
    assert "notifhist serve --demo" in text_of(page)

    post(client, check_of(), item_at(NOW_MS - 3 * DAY, notification_results=[{"success": True}]))
    page = page_at(browser, LIST)
    assert reason(page) == "nothing then"
    assert "2011-11-07 01:00:00 UTC, 3 d ago" in text_of(page)
    assert len(ids_on(page_at(browser, link_of(page, "Show that time") or ""))) == 1

    page = page_at(browser, f"{LIST}?since=7d&outcome=failed&q=x<y")
    assert reason(page) == "nothing matches"
    assert "outcome: failed" in text_of(page)
    assert "q: x<y" in text_of(page)
    assert len(ids_on(page_at(browser, link_of(page, "Clear the filters") or ""))) == 1

    page = page_at(browser, f"{LIST}?from=2011-01-01&to=2011-02-01")
    assert reason(page) == "expired"
    assert "30 days" in text_of(page)
    assert "NOTIFHIST_RETENTION_DAYS" in text_of(page)


def test_live_is_of_the_first_page_alone(browser: FlaskClient) -> None:
    first = page_at(browser, f"{LIST}?live=1&limit=5")
    assert first.xpath("//*[@data-live='10']")
    assert first.xpath("//noscript/meta[@http-equiv='refresh']")
    second = page_at(browser, f"{LIST}?live=1&limit=5&marker={ids_on(first)[3]}")
    assert not second.xpath("//*[@data-live='10']")


def test_other_tenants_see_nothing_and_other_roles_are_told_which_one_is_missing(
    browser: FlaskClient, app: Flask, make_key: MakeKey
) -> None:
    other = signed_in(app, make_key(tenant="other"))
    assert reason(page_at(other, f"{LIST}?since=30d")) == "nothing recorded"
    assert other.get(f"{LIST}.ndjson?since=30d").data == b""
    of_runs = signed_in(app, make_key("notification-logs:view"))
    for url in (LIST, f"{LIST}.csv", f"{LIST}.ndjson"):
        page = page_at(of_runs, url, 403)
        assert "monitoring:observer" in text_of(page)
        assert "Request id: " in text_of(page)
    assert link_of(page_at(of_runs, LIST, 403), "Deliveries") is None
    assert len(ids_on(page_at(signed_in(app, make_key("monitoring:observer")), LIST))) > 10
    assert authorized(app, make_key()).get(f"/v1.0/{TENANT}/deliveries").status_code == 200
