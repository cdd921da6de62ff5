"""The receivers of deliveries: who was reached how often, and what failed last."""

from collections import Counter
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import NOW_MS
from tests.http.delivery_data import DAY, DELIVERIES, HOUR, Delivery, check_of, listed, seed
from tests.http.helpers import XML, assert_fault, get_json, get_xml, item_at, post

RECEIVERS = f"{DELIVERIES}/receivers"
WHO = ("notification_id", "notification_type", "target")
MEMBERS = (*WHO, "counts", "last_failure", "last_message")
FAILED: dict[str, Any] = {"success": False}


def receivers(client: FlaskClient, query: str = "") -> list[dict[str, Any]]:
    """Return the receivers, once their members are as they should be."""
    document = get_json(client, f"{RECEIVERS}?{query}")
    assert list(document) == ["values"]
    values: list[dict[str, Any]] = document["values"]
    for each in values:
        assert list(each) == [name for name in MEMBERS if name in each]
        assert any(name in each for name in WHO)
        assert ("last_failure" in each) == ("failed" in each["counts"])
        assert all(count > 0 for count in each["counts"].values())
    return values


def expected(deliveries: list[Delivery]) -> list[dict[str, Any]]:
    """Return the receivers of deliveries, which are in their order."""
    found: dict[tuple[str | None, ...], dict[str, Any]] = {}
    for each in deliveries:
        who = {name: each[name] for name in WHO if name in each}
        if not who:
            continue
        receiver = found.setdefault(tuple(map(who.get, WHO)), {**who, "counts": Counter()})
        receiver["counts"][each["outcome"]] += 1
        if each["outcome"] == "failed":
            receiver["last_failure"] = each["timestamp"]
            receiver.pop("last_message", None)
            receiver |= {"last_message": each["message"]} if "message" in each else {}
    return sorted(found.values(), key=lambda each: (-each["counts"]["failed"], -each.get("last_failure", 0)))


def test_those_with_most_failures_come_first_then_those_that_failed_last(client: FlaskClient) -> None:
    post(client, check_of(), item_at(NOW_MS - 4, notification_results=[{"notification_id": "often", **FAILED}] * 3))
    for n, name in enumerate(("old", "new", "newest")):
        result = {"notification_id": name, **FAILED, "message": f"of {name}"}
        post(client, check_of(), item_at(NOW_MS - 3 + n, notification_results=[result]))
    fine = [{"notification_id": name, "success": True} for name in ("b", "a", "c")]
    post(client, check_of(), item_at(NOW_MS, notification_results=fine))
    found = receivers(client)
    assert [each["notification_id"] for each in found] == ["often", "newest", "new", "old", "a", "b", "c"]
    assert found[0] == {"notification_id": "often", "counts": {"failed": 3}, "last_failure": NOW_MS - 4}
    assert found[1] == {
        **{"notification_id": "newest", "counts": {"failed": 1}},
        **{"last_failure": NOW_MS - 1, "last_message": "of newest"},
    }
    assert found[4] == {"notification_id": "a", "counts": {"sent": 1}}


def test_a_receiver_is_its_id_type_and_target(client: FlaskClient) -> None:
    results: list[Any] = [
        {"notification_id": "nt", "notification_type": "email", "notification_details": {"address": "a"}},
        {"notification_id": "nt", "notification_type": "email", "notification_details": {"address": "b"}},
        {"notification_id": "nt", "notification_type": "sms", "notification_details": {"address": "a"}},
        {"notification_id": "nt"},
        {"notification_type": "sms"},
        {"notification_details": {"to": "a"}},
        {"notification_id": "", "notification_type": ""},
        {},
        {"notification_id": "nt", "notification_type": "email", "notification_details": {"address": "a", "x": "y"}},
    ]
    post(client, check_of(), item_at(NOW_MS, notification_results=results))
    found = receivers(client)
    assert [(*map(each.get, WHO), each["counts"]["unknown"]) for each in found] == [
        (None, None, "a", 1),
        (None, "sms", None, 1),
        ("", "", None, 1),
        ("nt", None, None, 1),
        ("nt", "email", "a", 2),
        ("nt", "email", "b", 1),
        ("nt", "sms", "a", 1),
    ]


def test_an_item_without_results_has_no_receiver(client: FlaskClient) -> None:
    post(client, check_of(), item_at(NOW_MS))
    assert receivers(client) == []


FILTERS = (
    *("", "outcome=failed", "outcome=sent", "outcome=sent,unknown", "state=OK", "notification_type=email"),
    *("notification_id=ntMail", "notification_id=ntHook&outcome=failed", "notification_plan_id=np1", "entity_id=en1"),
    *("alarm_id=al1", "check_id=ch0", "transaction_id=tx1", "q=message 1", "q=legacy", "q=7", "state=none"),
    *("state=OK,WARNING&entity_id=enOne&outcome=failed,in_progress", f"from={NOW_MS - DAY}&to={NOW_MS - 5 * HOUR}"),
)


def test_the_filters_are_those_of_the_list(client: FlaskClient) -> None:
    seed(client)
    for query in FILTERS:
        found, wanted = receivers(client, query), expected(listed(client, query))
        assert [each for each in found if each not in wanted] == []
        assert len(found) == len(wanted)
        order = [(each["counts"].get("failed", 0), each.get("last_failure")) for each in found]
        assert order == [(each["counts"]["failed"], each.get("last_failure")) for each in wanted]


@pytest.mark.parametrize("many", [False, True])
def test_the_last_failure_is_the_newest_whenever_it_was_recorded(client: FlaskClient, many: bool) -> None:
    times = [NOW_MS - 5, NOW_MS - 1, NOW_MS - 3]
    for ms in times:
        result = {"notification_id": "nt", **FAILED, "message": f"at {ms}"}
        more = [{"notification_id": "nt", "success": True}] * (120 if many else 1)  # so many are indexed at once
        post(client, check_of(), item_at(ms, notification_results=[result, *more]))
        post(client, check_of(check="chTwo"), item_at(ms, notification_results=[{"notification_id": "nt"}]))
    (found,) = receivers(client)
    assert (found["last_failure"], found["last_message"]) == (NOW_MS - 1, f"at {NOW_MS - 1}")
    (found,) = receivers(client, f"to={NOW_MS - 2}")
    assert (found["last_failure"], found["counts"]["failed"]) == (NOW_MS - 3, 2)
    (found,) = receivers(client, f"from={NOW_MS}&to={NOW_MS - 1}") or [{}]
    assert found == {}


def test_receivers_follow_what_changes(client: FlaskClient) -> None:
    item = item_at(NOW_MS, notification_results=[{"notification_id": "nt", **FAILED, "message": "refused"}])
    post(client, check_of(), item)
    assert receivers(client)[0]["last_message"] == "refused"
    item["notification_results"][0] |= {"success": True, "message": "sent"}
    url = f"{check_of()}/{item['id']}"
    assert client.put(url, json=item).status_code == 200
    assert receivers(client) == [{"notification_id": "nt", "counts": {"sent": 1}}]
    assert client.delete(url).status_code == 204
    assert receivers(client) == []


def test_no_more_than_a_thousand_are_listed_the_newest_of_equals(client: FlaskClient) -> None:
    def items(first: int, number: int, **result: Any) -> dict[str, Any]:
        results = [[{"notification_id": f"nt{n}", **result}] for n in range(first, first + number)]
        return {
            "values": [item_at(NOW_MS - 9999 + first + n, n, notification_results=r) for n, r in enumerate(results)]
        }

    post(client, check_of(), items(0, 1100, success=True))
    assert len(receivers(client)) == 1000
    assert {each["counts"]["sent"] for each in receivers(client)} == {1}
    post(client, check_of(), items(2000, 1050, success=False))
    names = [each["notification_id"] for each in receivers(client)]
    assert names == [f"nt{n}" for n in range(3049, 2049, -1)]
    assert [each["notification_id"] for each in receivers(client, "outcome=failed")] == names
    for _ in range(2):
        post(
            client, check_of(), item_at(NOW_MS - 10, _, notification_results=[{"notification_id": "nt2001", **FAILED}])
        )
    post(client, check_of(), item_at(NOW_MS, notification_results=[{"notification_id": "new", **FAILED}]))
    names = ["nt2001", "new", *names[:998]]
    assert [each["notification_id"] for each in receivers(client)] == names
    assert len(receivers(client, "outcome=sent")) == 1000


def test_xml_says_the_same(client: FlaskClient) -> None:
    seed(client)
    root = get_xml(client, RECEIVERS)
    assert [each.tag for each in root] == ["values", "metadata"]
    found = []
    for element in root.iterfind("values/receiver"):
        texts: dict[str, Any] = {str(each.tag): each.text for each in element if each.tag != "counts"}
        texts["counts"] = {each.tag: int(each.text or "") for each in element.iterfind("counts/*")}
        found.append(texts | ({"last_failure": int(texts["last_failure"])} if "last_failure" in texts else {}))
    assert found == receivers(client)


@pytest.mark.parametrize("query", ["outcome=x", "from=x", "to=", "q=%00", "entity_id=%00", "state=OK,%00"])
def test_a_bad_parameter_is_a_bad_request(client: FlaskClient, query: str) -> None:
    fault = assert_fault(client.get(f"{RECEIVERS}?{query}"), 400, "badRequest")
    assert fault["details"].startswith(query.partition("=")[0] + ": ")
    assert client.get(f"{RECEIVERS}?{query}", headers={"Accept": XML}).mimetype == XML


def test_any_text_is_a_receiver(client: FlaskClient) -> None:
    texts = ("a\0b", "🚨", "ß", '"', "\\", "x" * 5000, " ")
    results = [{"notification_id": text, **FAILED, "message": text} for text in texts]
    post(client, check_of(), item_at(NOW_MS, notification_results=results))
    assert {each["notification_id"]: each["last_message"] for each in receivers(client)} == {t: t for t in texts}
    get_xml(client, RECEIVERS)
