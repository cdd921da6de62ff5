"""Which deliveries a list is about: each filter, several at once, and the search."""

from collections.abc import Iterable
from itertools import combinations
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient

from notifhist.store.deliveries import selection
from tests.conftest import NOW_MS
from tests.http.delivery_data import DELIVERIES, HOUR, Delivery, check_of, ids, listed, seed
from tests.http.helpers import assert_fault, get_json, item_at, post

WITH_COMMAS = ("outcome", "state", "notification_type")
WANTED: dict[str, tuple[str, str]] = {
    "outcome": ("failed", "not_sent"),
    "state": ("WARNING", "CRITICAL"),
    "notification_type": ("email", "sms"),
    "notification_id": ("ntMail", "ntHook"),
    "notification_plan_id": ("np1", "np2"),
    "entity_id": ("en0", "enOne"),
    "alarm_id": ("al1", "alOne"),
    "check_id": ("ch0", "chOne"),
    "transaction_id": ("tx1", "tx3"),
}
"""Two values of each filter that some deliveries have."""


def matching(deliveries: Iterable[Delivery], **wanted: Iterable[str]) -> list[Delivery]:
    """Return the deliveries that have one of the values wanted of each member."""
    return [each for each in deliveries if all(each.get(name) in {*values} for name, values in wanted.items())]


def test_each_filter_alone(client: FlaskClient) -> None:
    seeded = seed(client)
    for name, values in WANTED.items():
        for value in values:
            expected = matching(seeded, **{name: (value,)})
            assert 0 < len(expected) < len(seeded), name
            assert listed(client, f"{name}={value}") == expected
            assert listed(client, f"{name}={value}&reverse=true", 7) == expected[::-1]


def test_repeated_filters_are_alternatives(client: FlaskClient) -> None:
    seeded = seed(client)
    for name, values in WANTED.items():
        expected = matching(seeded, **{name: values})
        for form in ("{0}={1}&{0}={2}", "{0}={1}&{0}={2}&{0}={1}", "{0}[]={1}&{0}[]={2}", "{0}[0]={1}&{0}[1]={2}"):
            assert listed(client, form.format(name, *values)) == expected, form


def test_three_of_the_filters_are_separated_by_commas_too(client: FlaskClient) -> None:
    seeded = seed(client)
    for name, values in WANTED.items():
        expected = matching(seeded, **{name: values}) if name in WITH_COMMAS else []
        for form in ("{0},{1}", "{0},{1},{0}", "{0},,{1},", "%20{0}%20,%20{1}"):
            assert listed(client, f"{name}={form.format(*values)}") == expected, form


@pytest.mark.parametrize("sparse", [0, selection._SPARSE], ids=["looked up by time", "read"])
def test_two_filters_must_both_match(client: FlaskClient, monkeypatch: pytest.MonkeyPatch, sparse: int) -> None:
    monkeypatch.setattr(selection, "_SPARSE", sparse)
    seeded = seed(client)
    some = 0
    for one, other in combinations(WANTED, 2):
        wanted: dict[str, tuple[str, ...]] = {name: WANTED[name][:1] for name in (one, other)}
        expected = matching(seeded, **wanted)
        some += bool(expected)
        assert listed(client, urlencode(wanted, doseq=True)) == expected
        wanted = {name: WANTED[name] for name in (one, other)}
        assert listed(client, urlencode(wanted, doseq=True)) == matching(seeded, **wanted)
    assert some > 25


def test_three_filters_must_all_match(client: FlaskClient) -> None:
    seeded = seed(client)
    some = 0
    for names in combinations(WANTED, 3):
        wanted = {name: WANTED[name] for name in names}
        expected = matching(seeded, **wanted)
        some += bool(expected)
        page = get_json(client, f"{DELIVERIES}?limit=1000&{urlencode(wanted, doseq=True)}")
        assert page["values"] == expected, names
        assert page["metadata"]["total"] == len(expected)
    assert some > 60


def test_all_filters_at_once_within_a_window(client: FlaskClient) -> None:
    seeded = seed(client)
    target = next(each for each in seeded if each.get("transaction_id") and each.get("notification_id"))
    wanted = {name: (target[name],) for name in WANTED}
    query = f"{urlencode(wanted, doseq=True)}&q={target['status']}&from={target['timestamp']}&to={target['timestamp']}"
    assert listed(client, query) == [target]
    assert listed(client, f"{query}&marker={seeded[-1]['id']}&reverse=true") == [target]
    assert get_json(client, f"{DELIVERIES}?{query}&from=0&to=1")["values"] == [target], "the first from counts"


def test_an_unknown_outcome_is_refused_and_names_those_there_are(client: FlaskClient) -> None:
    for value in ("delivered", "SENT", "sent,ignored", "sent;failed", "(none)"):
        for below in ("", "/counts", "/receivers"):
            fault = assert_fault(client.get(f"{DELIVERIES}{below}?outcome=failed&outcome={value}"), 400, "badRequest")
            assert fault["details"].startswith("outcome: ")
            assert fault["details"].endswith("is none of not_sent, in_progress, sent, failed, unknown")


@pytest.mark.parametrize("name", [name for name in WANTED if name != "outcome"])
def test_an_unknown_value_of_another_filter_matches_nothing(client: FlaskClient, name: str) -> None:
    seeded = seed(client)
    known = WANTED[name][0]
    for value in ("none", known.swapcase(), f"{known}%20x", known[:-1], "%25", "_", "(none)", "x" * 5000, "🚨", "null"):
        assert listed(client, f"{name}={value}") == []
        assert listed(client, f"{name}={value}&{name}={known}") == matching(seeded, **{name: (known,)})
        assert listed(client, f"{name}={value}&q=status") == []
    assert get_json(client, f"{DELIVERIES}/receivers?{name}=none")["values"] == []
    counts = get_json(client, f"{DELIVERIES}/counts?{name}=none")["values"]
    assert {tuple(each["counts"]) for each in counts} == {()}


def test_an_empty_value_filters_nothing(client: FlaskClient) -> None:
    seeded = seed(client)
    for name in (*WANTED, "q"):
        assert listed(client, f"{name}=") == seeded
        assert listed(client, f"{name}") == seeded
    for name in WITH_COMMAS:
        assert listed(client, f"{name}=,%20,") == seeded
        value = WANTED[name][0]
        assert listed(client, f"{name}=&{name}={value}") == matching(seeded, **{name: (value,)})


def test_a_filter_has_as_many_values_as_a_url_holds(client: FlaskClient) -> None:
    post(client, check_of(), {"values": [item_at(NOW_MS - n, n, state=f"S{n}") for n in range(300)]})
    everything = listed(client)
    assert len(everything) == 300
    for number in (256, 300):
        wanted = {f"S{n}" for n in range(number)}
        assert listed(client, f"state={','.join(sorted(wanted))}") == matching(everything, state=wanted)
        assert listed(client, f"state={','.join(sorted(wanted))}&outcome=sent") == []
    more = "".join(f"&notification_id=nt{n}" for n in range(1000))
    assert listed(client, f"outcome=not_sent{more}") == []
    assert listed(client, "".join(f"&entity_id=en{n}" for n in range(1000)) + "&entity_id=enOne") == everything


LONG = "x" * 5000


@pytest.mark.parametrize(
    "value", ["a b", "%", "_", "\\", "'", '"', "ß", "東京", "🚨", "-", "(none)", "null", LONG, " x"]
)
def test_any_text_may_be_a_value(client: FlaskClient, value: str) -> None:
    result = {"notification_id": value, "notification_type": value, "success": False}
    members: dict[str, Any] = {"notification_plan_id": value, "transaction_id": value, "state": value}
    post(client, check_of(), item_at(NOW_MS, notification_results=[result], **members))
    post(client, check_of(), item_at(NOW_MS, 1))
    (expected,) = matching(listed(client), state=(value,))
    named = [name for name in WANTED if name not in ("outcome", "entity_id", "alarm_id", "check_id")]
    for name in named:
        # A list that is separated by commas is cut at blanks, too.
        found = listed(client, urlencode({name: value}))
        assert found == ([] if name in WITH_COMMAS and value != value.strip() else [expected]), name


def test_u_0000_in_a_member_is_told_and_cannot_be_asked_for(client: FlaskClient) -> None:
    result = {"notification_id": "a\0b", "notification_type": "\0", "message": "a\0b", "success": True}
    post(client, check_of(), item_at(NOW_MS, state="\0", status="c\0d", notification_results=[result]))
    (delivery,) = listed(client)
    assert (delivery["state"], delivery["notification_id"], delivery["message"]) == ("\0", "a\0b", "a\0b")
    for text in ("a", "b", "c", "d"):
        assert listed(client, f"q={text}") == [delivery]
    assert listed(client, "q=ab") == []


TEXTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "status": ({"status": "say Straße 1 here"}, {}),
    "message": ({}, {"message": "say Straße 1 here"}),
    "an attempt": ({}, {"message": "x", "attempts": [{"message": "a"}, {"message": "say Straße 1 here"}, {}]}),
    "target": ({}, {"notification_details": {"to": "say Straße 1 here"}}),
    "notification_id": ({}, {"notification_id": "say Straße 1 here"}),
    "the message of what is suppressed": ({"suppressions": ["s"], "status": "x"}, {"message": "say Straße 1 here"}),
}
"""Members of an item, and of its result, that are searched."""
NEEDLES = ("1", "ß", "SS", "ss", " 1", "1 ", "ß", "STR", "straSSe", "STRASSE 1", "Straße 1 here", "say Straße 1 here")
NO_NEEDLES = ("2", "1h", "strase", "say  ", "say Straße 1 here.", "%", "_", "s_y", "s%y", "'")


@pytest.mark.parametrize("where", TEXTS)
def test_the_search_finds_a_part_of_any_text_however_it_is_written(client: FlaskClient, where: str) -> None:
    members, result = TEXTS[where]
    results = [] if where == "status" else [result]
    post(client, check_of(), item_at(NOW_MS, notification_results=results, **members))
    post(client, check_of(), item_at(NOW_MS, 1, state="OK", status="nothing of it"))
    (expected,) = [each for each in listed(client) if each.get("status") != "nothing of it"]
    for needle in NEEDLES:
        assert listed(client, urlencode({"q": needle})) == [expected], needle
    for needle in NO_NEEDLES:
        assert expected not in listed(client, urlencode({"q": needle})), needle


def test_the_search_finds_among_many(client: FlaskClient) -> None:
    seeded = seed(client)
    for needle in ("7", "at", "ntM", "message 1", "OPS@EXAMPLE", "status 2", "#legacy", "one"):
        folded = needle.casefold()
        texts = ("status", "message", "target", "notification_id")
        expected = [each for each in seeded if any(folded in each.get(name, "").casefold() for name in texts)]
        assert 0 < len(expected) < len(seeded)
        hidden = [each for each in listed(client, urlencode({"q": needle})) if each not in expected]
        assert {each["outcome"] for each in hidden} <= {"not_sent"}, "a suppressed result has its own message"
        assert [each for each in listed(client, urlencode({"q": needle})) if each in expected] == expected
        failed = listed(client, urlencode({"q": needle, "outcome": "failed"}), 3)
        assert failed == matching(expected, outcome=("failed",))


def test_the_search_looks_nowhere_else(client: FlaskClient) -> None:
    needle = "needle"
    result = {
        "notification_type": needle,
        "notification_details": {"url": "http://x/", "address": needle, "other": needle},
        "attempts": [{"from": needle, "note": needle}],
        "note": needle,
        "success": False,
        needle: "x",
    }
    names = ("state", "previous_state", "notification_plan_id", "transaction_id", "note")
    members: dict[str, Any] = dict.fromkeys(names, needle)
    post(client, check_of(needle, needle, needle), item_at(NOW_MS, notification_results=[result], **members))
    assert len(listed(client)) == 1
    assert listed(client, f"q={needle}") == []
    assert listed(client, "q=failed") == []
    assert listed(client, "q=http://x/") == listed(client)


def test_no_match_spans_two_texts(client: FlaskClient) -> None:
    result = {"message": "cd", "notification_id": "ef", "attempts": [{"message": "gh"}, {"message": "ij"}]}
    post(client, check_of(), item_at(NOW_MS, status="ab", notification_results=[result]))
    for text in ("bc", "de", "bcd", "abcd", "bX", "bx", "b\n", "xc", "ghij", "hi"):
        assert listed(client, urlencode({"q": text})) == [], text


def test_the_search_is_plain_text(client: FlaskClient) -> None:
    texts = ["100%", "a_b", "back\\slash", "it's", '"in quotes" AND more', "NEAR(a b)", "a*b", "^a", "{x}", "-x", "a:b"]
    items = [item_at(NOW_MS - n * HOUR, n, status=text) for n, text in enumerate(texts)]
    post(client, check_of(), {"values": items})
    for text in texts:
        assert [each["status"] for each in listed(client, urlencode({"q": text}))] == [text]
        assert [each["status"] for each in listed(client, urlencode({"q": text[:3]}))] == [text]


def test_the_first_q_counts(client: FlaskClient) -> None:
    seeded = seed(client)
    assert listed(client, "q=ntMail&q=nothing") == listed(client, "q=ntmail")
    assert ids(listed(client, "q=&q=nothing")) == ids(seeded)
