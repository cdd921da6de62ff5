import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from notifhist.schemas.fields import MAX_TIMESTAMP
from notifhist.schemas.history import HISTORY_PAGE
from notifhist.schemas.history import ITEM as ITEM_SCHEMA
from notifhist.schemas.item_ids import key_of
from notifhist.schemas.query import CheckPath, Tenant
from notifhist.schemas.resources import ITEM_RESOURCE, LOG_RESOURCE, RUN_RESOURCE
from notifhist.serializers.as_xml import render
from notifhist.transfer.files import BadRecord, Destination, Record, destination_of, owner_problems, read_records
from notifhist.transfer.load import find_sources
from tests.http.helpers import item_at, run_of

FIXTURES = Path(__file__).parents[2] / "fixtures"
CHECK = CheckPath("123456", "enOne", "alOne", "chOne")
OF_CHECK = Destination(ITEM_RESOURCE, CHECK)
OF_TENANT = Destination(RUN_RESOURCE, Tenant("123456"))
HERE = {"tenant": "123456", "entity_id": "enOne", "alarm_id": "alOne", "check_id": "chOne"}
ITEM = item_at(1_320_885_544_875)
BAD_ITEM = {**ITEM, "state": 5}
RUN = run_of(id=1)


def destination(owner: Tenant) -> Destination:
    return Destination(ITEM_RESOURCE if isinstance(owner, CheckPath) else RUN_RESOURCE, owner)


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("T/entities/E/alarms/A/notification_history/C.json", CheckPath("T", "E", "A", "C")),
        ("T/entities/E/alarms/A/notification_history/C.xml", CheckPath("T", "E", "A", "C")),
        ("x/y/T/entities/E/alarms/A/notification_history/C.json", CheckPath("T", "E", "A", "C")),
        ("T/entities/E/alarms/A/notification_history/C/1.json", CheckPath("T", "E", "A", "C")),
        ("T/entities/E/alarms/A/notification_history/C.D.json", CheckPath("T", "E", "A", "C.D")),
        ("%D8%A9/entities/e%20f/alarms/a%2Bb/notification_history/c+d.xml", CheckPath("ة", "e f", "a+b", "c+d")),
        # Encoded once, and so decoded once.
        ("T/entities/E/alarms/A/notification_history/chLoad%252F1.json", CheckPath("T", "E", "A", "chLoad%2F1")),
        ("T/entities/E/alarms/A/notification_history/100%25.json", CheckPath("T", "E", "A", "100%")),
        ("T/api/v1/notifications/logs/run.json", Tenant("T")),
        ("T/api/v1/notifications/logs/run.xml", Tenant("T")),
        ("T/api/v1/notifications/logs/run/17.json", Tenant("T")),
        ("%2520/api/v1/notifications/logs/run.json", Tenant("%20")),
        ("T/entities/E/alarms/A/notification_history.json", None),
        ("T/entities/E/alarms/A/notification_history.xml", None),
        ("T/entities/E/alarms/A/notification_history/C.ndjson", None),
        ("T/entities/E/alarms/A/notification_history/C", None),
        ("T/entities/E/notification_history/C.json", None),
        ("T/api/v1/notifications/runs.json", None),
        ("T/api/v1/notifications/logs/run/1/2.json", None),
        ("errors/runs-403.json", None),
        ("list.json", None),
    ],
)
def test_the_path_of_a_document_says_where_it_belongs(path: str, owner: Tenant | None) -> None:
    expected = None if owner is None else destination(owner)
    assert destination_of(Path("/anywhere") / path) == expected


@pytest.mark.parametrize("path", ["logs.json", "logs.xml", "logs/17.json", "logs/runs.json"])
def test_a_log_lies_beside_the_runs(path: str) -> None:
    found = destination_of(Path("/anywhere/T/api/v1/notifications") / path)
    assert found == Destination(LOG_RESOURCE, Tenant("T"))


def test_a_relative_path_says_it_from_within_the_tree(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "T/entities/E/alarms/A/notification_history"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert destination_of(Path("C.json")) == Destination(ITEM_RESOURCE, CheckPath("T", "E", "A", "C"))


@pytest.mark.parametrize("part", ["%2F", "%00", "%FF", "%0A", "a" * 256])
def test_a_path_with_an_id_that_no_url_can_have_is_a_bad_record(tmp_path: Path, part: str) -> None:
    path = Path(f"/T/entities/{part}/alarms/A/notification_history/C.json")
    found = destination_of(path)
    assert found is not None
    (bad,) = read_records(path, found)
    assert isinstance(bad, BadRecord)
    assert bad.problem.startswith("No such place. entity_id: Must be 1 to 255 characters")


def test_ids_may_be_unusual() -> None:
    unusual = CheckPath("\u00a0", "a" * 255, "%2F", "🚦.. ")
    assert owner_problems(unusual) == ""
    assert owner_problems(CheckPath("", "\x7f", "a/b", "\ud800")).count("1 to 255") == 4


def test_the_fixtures_are_found_by_their_paths_alone() -> None:
    sources = {
        source.path.relative_to(FIXTURES).as_posix(): source.destination for source in find_sources([FIXTURES], None)
    }
    documents = {path.relative_to(FIXTURES).as_posix() for path in FIXTURES.rglob("*.*") if path.is_file()}
    others = {path for path in documents if "/" not in path or "/errors/" in path or "_history." in path}
    assert sources.keys() == documents - others
    assert len(others) == 7 + 2 + 2
    odd = "lifelike/654321/entities/en100%25/alarms/alLoadAvg1/notification_history/chLoad%252F1.json"
    assert sources[odd] == Destination(ITEM_RESOURCE, CheckPath("654321", "en100%", "alLoadAvg1", "chLoad%2F1"))
    assert None not in sources.values()


def test_a_folder_is_searched_for_lines_wherever_they_lie_and_for_all_if_their_owner_is_given(tmp_path: Path) -> None:
    for name in ("a.json", "b.xml", "c.ndjson", "d.jsonl", "e.txt", "sub/f.ndjson"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.json").mkdir()

    def names(given: Destination | None) -> list[str]:
        return [source.path.name for source in find_sources([tmp_path], given)]

    assert names(None) == ["c.ndjson", "d.jsonl", "f.ndjson"]
    assert names(OF_CHECK) == ["a.json", "b.xml", "c.ndjson", "d.jsonl", "f.ndjson"]


def read(
    tmp_path: Path, name: str, text: str | bytes, destination: Destination | None = OF_CHECK
) -> list[Record | BadRecord]:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_records(path, destination))


def lines_of(records: list[Record | BadRecord]) -> list[tuple[int, str]]:
    """Return each record's line and what is wrong with it; a valid one has nothing."""
    return [(each.line, each.problem if isinstance(each, BadRecord) else "") for each in records]


def container(*items: Any, indent: int | None = None) -> str:
    return json.dumps({"values": items, "metadata": {"values": [{}], "count": 1}}, indent=indent)


STATE = "The body does not fit. state: Not a valid string"


def test_records_of_a_json_container_have_the_lines_in_which_they_begin(tmp_path: Path) -> None:
    text = json.dumps(
        {"metadata": {"values": [1, 2], "next_href": 'a\\"b'}, "values": [ITEM, BAD_ITEM, 5, ITEM]}, indent=2
    )
    expected = [number for number, line in enumerate(text.splitlines(), start=1) if line in ("    {", "    5,")]
    assert len(expected) == 4
    first, second, third, fourth = lines_of(read(tmp_path, "a.json", text))
    assert [first, second, fourth] == [(expected[0], ""), (expected[1], STATE), (expected[3], "")]
    assert third == (expected[2], "The body does not fit. the body: Must be an object")


def test_records_on_one_line_share_it(tmp_path: Path) -> None:
    text = "\n\n" + container(ITEM, BAD_ITEM)
    assert lines_of(read(tmp_path, "a.json", text)) == [(3, ""), (3, STATE)]


def test_records_of_an_xml_container_have_the_lines_in_which_they_begin(tmp_path: Path) -> None:
    item = f'<{ITEM_SCHEMA.root} id="{ITEM["id"]}">\n%s<notification_results/>\n</{ITEM_SCHEMA.root}>\n'
    valid, bad = item % "<state>OK</state>", item % ""
    text = f"<?xml version='1.0'?>\n<container><values><!-- one\n -->{valid}{bad}{valid}</values></container>"
    state = "The body does not fit. state: Missing data for required field"
    assert lines_of(read(tmp_path, "a.xml", text)) == [(3, ""), (6, state), (9, "")]


def test_lines_of_xml_are_counted_beyond_what_16_bits_hold(tmp_path: Path) -> None:
    page = render({"values": [ITEM], "metadata": {}}, HISTORY_PAGE).decode()
    text = page.replace("<values>", "<values>" + "\n" * 70_000)
    line = text[: text.index("<alarm_notification_history_item")].count("\n") + 1
    assert line > 70_000
    assert lines_of(read(tmp_path, "a.xml", text)) == [(line, "")]


def test_a_line_of_ndjson_is_named_by_its_number(tmp_path: Path) -> None:
    lines = [
        json.dumps({**HERE, "item": ITEM}),
        "",
        "{",
        json.dumps({**HERE, "item": BAD_ITEM}),
        json.dumps({"tenant": "T", "run": RUN}),
        '{"tenant": "T", "tenant": "T"}',
        json.dumps({**HERE, "check_id": "a/b", "item": ITEM}),
        json.dumps({**HERE, "item": ITEM, "more": 1}),
        "[]",
    ]
    records = read(tmp_path, "a.ndjson", "\n".join(lines), destination=None)
    wrong = "The body does not fit."
    assert lines_of(records) == [
        (1, ""),
        (3, "The body is not JSON. Expecting property name enclosed in double quotes: column 2."),
        (4, f"{wrong} item.state: Not a valid string"),
        (5, ""),
        (6, 'The body repeats a member. "tenant" again: column 17.'),
        (7, f"{wrong} check_id: Must be 1 to 255 characters, no slash and no control character among them"),
        (8, f"{wrong} more: Unknown field"),
        (9, f"{wrong} the body: Must be an object"),
    ]
    owners = [(each.resource, each.owner) for each in records if isinstance(each, Record)]
    assert owners == [(ITEM_RESOURCE, CHECK), (RUN_RESOURCE, Tenant("T"))]


@pytest.mark.parametrize(
    ("name", "text", "line", "said"),
    [
        ("a.json", '{"state": "OK",\n "notification_results": [,]}', 2, "The body is not JSON. Expecting value"),
        ("a.json", '{"state": "OK",\n\n "state": "OK"}', 3, "The body repeats a member."),
        ("a.json", '{"state":\n NaN}', 2, "The body is not JSON. NaN"),
        ("a.json", b'{"state":\n "\xff"}', 2, "The body is not UTF-8."),
        ("a.json", "", 1, "The body is not JSON."),
        ("a.json", "[" * 100_000, 1, "The body is nested too deeply."),
        ("a.json", "[]", 1, "The body does not fit."),
        ("a.json", '{"values": 5}', 1, "The body does not fit. values: Not a valid list"),
        ("a.json", json.dumps({"values": ITEM}), 1, "The body does not fit. values: Not a valid list"),
        ("a.json", '{"values": [], "metadata": 5}', 1, "The body does not fit. metadata: "),
        ("a.json", '{"values": [], "metadata": {"count": 1e999}}', 1, "The body does not fit. metadata.count: "),
        ("a.xml", "<container>\n<values>\n</container>", 3, "The body is not well-formed XML."),
        ("a.xml", "", 1, "The body is not well-formed XML."),
        ("a.xml", "<!DOCTYPE x>\n<container/>", 1, "The body has a DOCTYPE."),
        ("a.xml", "<alarm_checks_map/>", 1, "The body's root element does not fit."),
        ("a.xml", "<container/>", 1, "The body does not fit. values: Missing data"),
        ("a.xml", "<container><values><item/></values></container>", 1, "The body does not fit. values.item: "),
        ("a.xml", "<container>text<values/></container>", 1, "The body does not fit. the root element: Has text"),
    ],
)
def test_a_document_that_cannot_be_read_is_one_bad_record(
    tmp_path: Path, name: str, text: str | bytes, line: int, said: str
) -> None:
    ((found, problem),) = lines_of(read(tmp_path, name, text))
    assert found == line
    assert problem.startswith(said)


def test_text_beside_the_elements_of_a_record_is_not_lost_without_a_word(tmp_path: Path) -> None:
    page = render({"values": [ITEM, ITEM], "metadata": {}}, HISTORY_PAGE).decode()
    text = page.replace("<state>", "so<state>", 1)
    first, second = lines_of(read(tmp_path, "a.xml", text))
    assert first[1] == "The body does not fit. the record: Has text beside elements"
    assert second[1] == ""


def test_each_record_has_its_own_wrong_numbers(tmp_path: Path) -> None:
    items = (
        [{**ITEM, "n": n} for n in (1, 2**64, 3)] + [ITEM] * 8 + [{**ITEM, "notification_results": [{"x": [-(2**64)]}]}]
    )
    problems = [problem for _, problem in lines_of(read(tmp_path, "a.json", container(*items)))]
    assert [n for n, problem in enumerate(problems) if problem] == [1, 11]
    assert problems[1].startswith("The body does not fit. n: Must be from")
    assert problems[11].startswith("The body does not fit. notification_results[0].x[0]: Must be from")


@pytest.mark.parametrize("name", ["a.json", "a.ndjson"])
def test_it_says_what_to_do_where_an_owner_is_missing(tmp_path: Path, name: str) -> None:
    text = json.dumps(ITEM)
    if name == "a.json":
        assert lines_of(read(tmp_path, name, text, destination=None)) == [
            (1, "Where does it belong? Give --tenant, and --entity, --alarm and --check or --of.")
        ]
    else:
        ((_, problem),) = lines_of(read(tmp_path, name, text, destination=None))
        assert all(f"{each}: Missing data" in problem for each in (*HERE, "item"))


@pytest.mark.parametrize("suffix", ["json", "xml"])
def test_an_answer_of_discovery_is_refused_by_what_it_is(suffix: str) -> None:
    path = FIXTURES / f"published/123456/entities/enOne/alarms/alOne/notification_history.{suffix}"
    assert lines_of(list(read_records(path, destination_of(path)))) == [
        (1, "This list of checks follows from their items; load those.")
    ]


def loaded(tmp_path: Path, *items: Any) -> list[dict[str, Any]]:
    records = read(tmp_path, "a.json", container(*items))
    return [each.document for each in records if isinstance(each, Record)]


def test_an_item_with_its_time_only_gets_the_same_id_whenever_it_is_read(tmp_path: Path) -> None:
    item = {"state": "OK", "timestamp": 1_320_885_544_875, "notification_results": []}
    first, again, other, later = loaded(
        tmp_path, item, dict(reversed(item.items())), {**item, "state": "WARNING"}, {**item, "timestamp": MAX_TIMESTAMP}
    )
    assert list(first) == ["id", *item]
    assert first["id"] == again["id"]
    assert len({first["id"], other["id"], later["id"]}) == 3
    for document in (first, other, later):
        assert key_of(document["id"]).timestamp == document["timestamp"]
        assert uuid.UUID(document["id"]).variant == uuid.RFC_4122
    assert loaded(tmp_path, item) == [first]


@pytest.mark.parametrize(
    ("destination", "document", "said"),
    [
        (OF_CHECK, {"state": "OK", "notification_results": []}, "The item has neither id nor timestamp."),
        (OF_TENANT, run_of(), "The run has no id."),
    ],
    ids=["item", "run"],
)
def test_a_record_that_would_be_there_twice_if_loaded_again_is_bad(
    tmp_path: Path, destination: Destination, document: Any, said: str
) -> None:
    ((line, problem),) = lines_of(read(tmp_path, "a.json", json.dumps(document), destination))
    assert line == 1
    assert problem == f"{said} Loaded again, it would be there twice."


def test_ids_are_read_in_lower_case(tmp_path: Path) -> None:
    (document,) = loaded(tmp_path, {**ITEM, "id": ITEM["id"].upper()})
    assert document == ITEM
