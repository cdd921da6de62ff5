"""Bodies of serializers that write what is absent as null, and integers as numbers with a point or an exponent."""

import json
from typing import Any
from xml.sax.saxutils import escape

import pytest
from flask.testing import FlaskClient

from tests.conftest import NOW_MS
from tests.http.helpers import CHECK, NIL, RUNS, XML, get_json, id_at, item_at, post, read_xml, run_of, send

ITEM = f"{CHECK}/{id_at(NOW_MS)}"
ATTEMPTS = f"{ITEM}/notification_results/nt/attempts"
NULLS: dict[str, Any] = dict.fromkeys(
    ("notification_plan_id", "transaction_id", "status", "previous_state", "suppressions")
)


def xml_item(inner: str, results: str = "<notification_results/>") -> str:
    root = "alarm_notification_history_item"
    return f'<{root} id="{id_at(NOW_MS)}"><state>OK</state>{results}{inner}</{root}>'


def send_xml(client: FlaskClient, url: str, body: str, method: str = "POST") -> None:
    response = client.open(url, method=method, data=body, content_type=XML)
    assert response.status_code in (200, 201), response.text


def test_a_named_member_that_is_null_is_absent(client: FlaskClient) -> None:
    results: list[dict[str, Any]] = [{"notification_id": "nt", "success": None, "attempts": None, "message": None}]
    post(client, CHECK, item_at(NOW_MS, **NULLS, x=None, notification_results=results))
    item = item_at(NOW_MS, x=None, notification_results=[{"notification_id": "nt"}])
    assert get_json(client, ITEM) == item
    post(client, CHECK, item, status=200)  # the same content
    post(client, ATTEMPTS, {"message": None, "from": "ele", "x": None})
    assert get_json(client, ITEM)["notification_results"][0]["attempts"] == [{"from": "ele", "x": None}]
    assert send(client, "PUT", ITEM, item_at(NOW_MS, **NULLS)).status_code == 200
    assert get_json(client, ITEM) == item_at(NOW_MS)


def test_an_item_whose_id_and_timestamp_are_null_gets_both(client: FlaskClient) -> None:
    item = json.loads(
        post(client, CHECK, {"id": None, "timestamp": None, "state": "OK", "notification_results": []}).data
    )
    assert list(item) == ["id", "timestamp", "state", "notification_results"]
    assert item["timestamp"] == NOW_MS


def test_null_members_in_a_container_are_absent(client: FlaskClient) -> None:
    post(client, CHECK, {"values": [item_at(NOW_MS, **NULLS)], "metadata": None})
    assert get_json(client, ITEM) == item_at(NOW_MS)


def test_nil_elements_are_absent(client: FlaskClient) -> None:
    inner = "".join(f"<{name} {NIL}/>" for name in ("timestamp", *NULLS, "x"))
    results = f"""<notification_results><notification_result><notification_id>nt</notification_id><success {NIL}/>
        <attempts {NIL}/><notification_details {NIL}/></notification_result></notification_results>"""
    send_xml(client, CHECK, xml_item(inner, results))
    # An unnamed member is kept, and nil is null.
    assert get_json(client, ITEM) == item_at(NOW_MS, x=None, notification_results=[{"notification_id": "nt"}])
    send_xml(client, ATTEMPTS, f"<attempts><message {NIL}/><from>ele</from></attempts>")
    assert get_json(client, ITEM)["notification_results"][0]["attempts"] == [{"from": "ele"}]
    send_xml(client, ITEM, xml_item(f"<status {NIL}/>"), "PUT")
    read_xml(client.get(ITEM, headers={"Accept": XML}))
    assert get_json(client, ITEM) == item_at(NOW_MS)


def test_empty_elements_that_hold_no_text_are_absent(client: FlaskClient) -> None:
    results = "<notification_results><notification_result><success/></notification_result></notification_results>"
    send_xml(client, CHECK, xml_item("<timestamp/>", results))
    assert get_json(client, ITEM) == item_at(NOW_MS, notification_results=[{}])


def test_suppressions_are_a_list_in_xml_too(client: FlaskClient) -> None:
    for ids in ([], ["sp 1"], ["sp 1", "", "sp<2>"]):
        elements = "".join(f"<suppressions>{escape(each)}</suppressions>" for each in ids) or "<suppressions/>"
        send_xml(client, ITEM, xml_item(elements), "PUT")
        assert get_json(client, ITEM) == item_at(NOW_MS, suppressions=ids)
        item = read_xml(client.get(ITEM, headers={"Accept": XML}))
        assert [each.text or "" for each in item.iterfind("suppressions")] == (ids or [""])
    send_xml(client, ITEM, xml_item(f"<suppressions {NIL}/>"), "PUT")
    assert get_json(client, ITEM) == item_at(NOW_MS)


def test_nil_members_of_a_run_are_absent(client: FlaskClient) -> None:
    members = "<medium>EMAIL</medium><status>CREATED</status><notificationType>WEEKLY_REPORT</notificationType>"
    nil = "".join(f"<{name} {NIL}/>" for name in ("summary", "seqNo", "dateCreated", "notificationObjects"))
    send_xml(client, RUNS, f"<notification_run>{members}{nil}</notification_run>")
    run = get_json(client, f"{RUNS}/1")
    assert (run["seqNo"], "summary" in run, "notificationObjects" in run) == (0, False, False)


@pytest.mark.parametrize("text", [f"{NOW_MS}.0", f"{NOW_MS // 1000}e3", f"{NOW_MS}e0"])
def test_a_timestamp_may_be_a_number_without_fraction(text: str, client: FlaskClient) -> None:
    body = json.dumps(item_at(NOW_MS)).replace(f"{NOW_MS},", f"{text},")
    assert client.post(CHECK, data=body, content_type="application/json").status_code == 201
    assert client.get(ITEM).text.startswith(f'{{"id":"{id_at(NOW_MS)}","timestamp":{NOW_MS},')
    send_xml(client, ITEM, xml_item(f"<timestamp>{text}</timestamp>"), "PUT")
    assert read_xml(client.get(ITEM, headers={"Accept": XML})).findtext("timestamp") == str(NOW_MS)


def test_numbers_of_a_run_may_have_a_point_or_an_exponent(client: FlaskClient) -> None:
    body = json.dumps(run_of(id=7.0, seqNo=2.0, deliveredCount="?")).replace('"?"', "9.007199254740991e15")
    assert client.post(RUNS, data=body, content_type="application/json").status_code == 201
    assert '"deliveredCount":9007199254740991,"id":7,' in client.get(f"{RUNS}/7").text
    post(client, RUNS, run_of(id=7, seqNo=2, deliveredCount=2**53 - 1), status=200)
    thing = {"id": 5.0, "name": "n", "type": "ENTITY"}
    assert send(client, "PUT", f"{RUNS}/7", run_of(id=7.0, notificationObjects=[thing])).status_code == 200
    assert '"id":5,' in client.get(f"{RUNS}/7").text


def test_an_unnamed_number_stays_as_it_is(client: FlaskClient) -> None:
    post(client, CHECK, item_at(NOW_MS, x=[5.0, 1.5, 1e300, 1e-7]))
    assert '"x":[5.0,1.5,1e+300,1e-7]' in client.get(ITEM).text
