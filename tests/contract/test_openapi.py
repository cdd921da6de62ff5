"""The description: valid OpenAPI, of every route and member, and true of real answers."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from werkzeug.test import TestResponse

from notifhist.factory import create_app
from notifhist.schemas import error, history, runs
from notifhist.schemas.document import DocumentSchema, member_fields
from notifhist.schemas.query import HISTORY_QUERY, RUNS_QUERY
from notifhist.serializers.bodies import MAX_BODY_BYTES
from notifhist.store.database import Database
from notifhist.store.models import HistoryItemRow, NotificationRunRow
from tests.conftest import NOW_MS, MakeApp, MakeKey, authorized
from tests.contract.described import Description, Json, description_of
from tests.http.helpers import ALARM, CHECK, JSON, RUNS, XML, id_at, item_at, run_of

EXAMPLES = Path(__file__).parent / "examples"
ITEM_ID = id_at(NOW_MS)
ITEM = f"{CHECK}/{ITEM_ID}"
ATTEMPTS = f"{ITEM}/notification_results/ntOne/attempts"


@pytest.fixture(scope="module")
def storeless(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """An application whose database does not exist."""
    return create_app({"DATABASE_URL": f"sqlite:///{tmp_path_factory.mktemp('none')}/none.db"})


@pytest.fixture(scope="module")
def description(storeless: Flask) -> Description:
    return description_of(storeless)


def documents() -> list[DocumentSchema]:
    """Return a schema of every document that has members."""
    classes = [each for module in (history, runs, error) for each in vars(module).values()]
    found = {each for each in classes if isinstance(each, type) and issubclass(each, DocumentSchema)}
    return sorted((each() for each in found if each().fields), key=lambda each: type(each).__name__)


def component(description: Description, name: str) -> Any:
    return description.document["components"]["schemas"][name]


def test_it_is_valid_openapi(description: Description) -> None:
    validate(description.document)


def test_it_describes_every_route_and_nothing_else(storeless: Flask, description: Description) -> None:
    routes = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in storeless.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}  # GET without the body
    }
    assert {(path, method) for path, method, _ in description.operations()} == routes


def test_clients_can_be_named_after_it(description: Description) -> None:
    ids = [operation["operationId"] for _, _, operation in description.operations()]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", each) for each in ids)
    for _, _, operation in description.operations():
        assert operation["summary"]
        assert operation["tags"]


def test_links_lead_on_and_say_every_parameter_of_the_way(description: Description) -> None:
    paths = {operation["operationId"]: path for path, _, operation in description.operations()}
    links = [
        (operation["operationId"], link)
        for _, _, operation in description.operations()
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    ]
    for _, link in links:
        assert list(link["parameters"]) == sorted(re.findall(r"{(\w+)}", paths[link["operationId"]]))
    new_id = {(source, link["operationId"]): list(link["parameters"].values())[-1] for source, link in links}
    assert new_id["record_items", "get_item"] == new_id["record_runs", "get_run"] == "$response.body#/id"
    assert new_id["replace_item", "delete_item"] == "$request.path.uuid"
    assert new_id["delete_item_of_own_tenant", "get_item_of_own_tenant"] == "$request.path.uuid"


def test_every_parameter_of_a_path_is_described(description: Description) -> None:
    for path, item in description.document["paths"].items():
        described = [each["name"] for each in item.get("parameters", ()) if each["in"] == "path"]
        assert described == re.findall(r"{(\w+)}", path)


@pytest.mark.parametrize("schema", documents(), ids=lambda schema: type(schema).__name__)
def test_every_member_of_a_document_is_described(description: Description, schema: DocumentSchema) -> None:
    described = component(description, type(schema).__name__.removesuffix("Schema"))
    members = member_fields(schema)
    assert list(described["properties"]) == list(members)
    assert set(described.get("required", ())) == {name for name, field in members.items() if field.required}
    assert described["additionalProperties"] is (schema.unknown == "exclude")


@pytest.mark.parametrize(
    ("operation_id", "schema"),
    [("list_items", HISTORY_QUERY), ("list_items_of_own_tenant", HISTORY_QUERY), ("list_runs", RUNS_QUERY)],
)
def test_every_query_parameter_is_described(
    description: Description, operation_id: str, schema: DocumentSchema
) -> None:
    parameters = description.operation(operation_id)["parameters"]
    assert [each["name"] for each in parameters if each["in"] == "query"] == list(member_fields(schema))


@pytest.mark.parametrize(
    ("name", "member", "expected"),
    [
        ("HistoryItem", "id", {"format": "uuid", "xml": {"attribute": True}}),
        ("HistoryItem", "timestamp", {"type": "integer", "minimum": 0, "maximum": 103_072_857_660_684}),
        ("HistoryItem", "notification_results", {"type": "array", "xml": {"wrapped": True}}),
        ("NotificationResult", "attempts", {"items": {"$ref": "#/components/schemas/Attempt"}}),
        ("NotificationResult", "in_progress", {"type": "boolean"}),
        ("NotificationResult", "notification_details", {"type": "object", "additionalProperties": True}),
        ("Discovery", "check_ids", {"items": {"type": "string", "xml": {"name": "check_id"}}}),
        ("PageMetadata", "next_marker", {"type": "string", "nullable": True}),
        ("NotificationRun", "seqNo", {"format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1}),
        ("NotificationRun", "id", {"format": "int64", "maximum": 2**63 - 1, "xml": {"attribute": True}}),
        ("NotificationRun", "dateCreated", {"type": "string", "format": "date-time"}),
        ("NotificationRun", "medium", {"enum": ["SLACK", "MICROSOFT_TEAMS", "EMAIL", "WEBHOOK"]}),
        ("RunsPage", "runs", {"xml": {"name": "values", "wrapped": True}}),
        ("RunsPageXml", "metadata", {"required": ["page", "total", "totalPages"]}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_types_bounds_and_places_in_xml_are_described(
    description: Description, name: str, member: str, expected: dict[str, Any]
) -> None:
    assert component(description, name)["properties"][member].items() >= expected.items()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("limit", {"type": "integer", "minimum": 1, "maximum": 1000}),
        ("from", {"type": "integer", "format": "int64"}),
        ("reverse", {"type": "boolean"}),
        ("marker", {"type": "string", "format": "uuid"}),
        ("page", {"minimum": 0, "maximum": 2**31 - 1}),
        ("mediums", {"type": "array", "items": {"type": "string", "enum": list(runs.MEDIUMS)}}),
        ("orderBy", {"enum": ["ASC", "DESC"]}),
        ("untilDate", {"type": "string", "format": "date-time"}),
    ],
)
def test_the_values_of_parameters_are_described(description: Description, name: str, expected: dict[str, Any]) -> None:
    ids = ("list_items", "list_runs")
    parameters = [each for operation_id in ids for each in description.operation(operation_id)["parameters"]]
    parameter = next(each for each in parameters if each["name"] == name)
    assert parameter["schema"].items() >= expected.items()
    assert not parameter["required"]


def test_elements_that_stand_alone_are_named(description: Description) -> None:
    for schema in documents():
        named = component(description, type(schema).__name__.removesuffix("Schema")).get("xml", {})
        assert named.get("name", "") == schema.root


def test_every_api_names_its_own_header_first(description: Description) -> None:
    first = {
        operation["operationId"]: next(iter(operation["security"][0]), "")
        for _, _, operation in description.operations()
        if "security" in operation
    }
    assert first["get_item"] == first["delete_item_of_own_tenant"] == "X-Auth-Token"
    assert first["get_run"] == first["record_runs"] == "Bearer"
    assert len(list(description.operations())) - len(first) == 5  # the operations need no key


@pytest.mark.parametrize(
    ("example", "name"),
    [
        ("discovery", "Discovery"),
        ("list", "HistoryPage"),
        ("item", "HistoryItem"),
        ("runs", "RunsPage"),
        ("runs-403", "RunError"),
        ("runs-429", "Problem"),
    ],
)
def test_the_published_examples_fit(description: Description, example: str, name: str) -> None:
    document = json.loads((EXAMPLES / f"{example}.json").read_bytes())
    schema = {"$ref": f"#/components/schemas/{name}"}
    assert description.problems(schema, document) == []
    first = next(iter(component(description, name)["required"]))
    assert description.problems(schema, {key: value for key, value in document.items() if key != first})


Ask = Callable[[FlaskClient], TestResponse]

SEEDED_ITEM = item_at(NOW_MS, notification_results=[{"notification_id": "ntOne"}])
SEEDED_RUN = run_of(id=1, notificationObjects=[{"id": 1, "name": "n", "type": "ENTITY"}])


def ask(method: str, url: str, body: Any = None, **headers: str) -> Ask:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    content_type = names.pop("Content-Type", JSON)
    data = body if isinstance(body, bytes) or body is None else json.dumps(body)
    return lambda client: client.open(url, method=method, data=data, content_type=content_type, headers=names)


# What is asked of a store that has SEEDED_ITEM and SEEDED_RUN, one after the other.
ANSWERS: list[tuple[str, int, Ask]] = [
    ("list_checks", 200, ask("GET", ALARM)),
    ("list_checks", 400, ask("GET", ALARM.replace("enOne", "en%00"))),
    ("list_items", 200, ask("GET", CHECK)),
    ("list_items", 400, ask("GET", f"{CHECK}?limit=0")),
    ("list_items", 406, ask("GET", CHECK, Accept="image/png")),
    ("list_items_of_own_tenant", 200, ask("GET", CHECK.removeprefix("/v1.0/123456"))),
    ("get_item", 200, ask("GET", ITEM)),
    ("get_item", 304, ask("GET", ITEM, If_None_Match="*")),
    ("get_item", 404, ask("GET", f"{CHECK}/{id_at(NOW_MS, 9)}")),
    ("record_items", 201, ask("POST", CHECK, item_at(NOW_MS, 1))),
    ("record_items", 201, ask("POST", CHECK, {"values": [item_at(NOW_MS, 2)]})),
    ("record_items", 200, ask("POST", CHECK, SEEDED_ITEM)),
    ("record_items", 400, ask("POST", CHECK, {"state": 1})),
    ("record_items", 415, ask("POST", CHECK, b"x", Content_Type="text/csv")),
    ("add_attempt", 201, ask("POST", ATTEMPTS, {"message": "ok"})),
    ("add_attempt", 404, ask("POST", ATTEMPTS.replace("chOne", "chNone"), {})),
    ("replace_item", 201, ask("PUT", f"{CHECK}/{id_at(NOW_MS, 3)}", item_at(NOW_MS, 3))),
    ("replace_item", 200, ask("PUT", ITEM, item_at(NOW_MS))),
    ("replace_item", 413, ask("PUT", ITEM, b" " * (MAX_BODY_BYTES + 1))),
    ("delete_item", 204, ask("DELETE", ITEM)),
    ("delete_item", 404, ask("DELETE", ITEM)),
    ("list_runs", 200, ask("GET", f"{RUNS}?includeObjects=true")),
    ("list_runs", 406, ask("GET", RUNS, Accept="image/png")),
    ("get_run", 200, ask("GET", f"{RUNS}/1")),
    ("get_run", 304, ask("GET", f"{RUNS}/1", If_None_Match="*")),
    ("get_run", 400, ask("GET", f"{RUNS}/one")),
    ("get_run", 404, ask("GET", f"{RUNS}/9")),
    ("record_runs", 201, ask("POST", RUNS, run_of())),
    ("record_runs", 201, ask("POST", RUNS, {"runs": [run_of(), run_of()]})),
    ("record_runs", 200, ask("POST", RUNS, SEEDED_RUN)),
    ("record_runs", 400, ask("POST", RUNS, {"status": 1})),
    ("record_runs", 409, ask("POST", RUNS, run_of(id=1, summary="other"))),
    ("record_runs", 415, ask("POST", RUNS, b"x", Content_Type="text/csv")),
    ("replace_run", 201, ask("PUT", f"{RUNS}/7", run_of())),
    ("replace_run", 200, ask("PUT", f"{RUNS}/1", run_of())),
    ("replace_run", 413, ask("PUT", f"{RUNS}/1", b" " * (MAX_BODY_BYTES + 1))),
    ("healthz", 200, ask("GET", "/healthz")),
    ("readyz", 200, ask("GET", "/readyz")),
    ("metrics", 200, ask("GET", "/metrics")),
    ("openapi", 200, ask("GET", "/openapi.json")),
    ("xsd", 200, ask("GET", "/schemas/notification_history.xsd")),
]
in_each_format = pytest.mark.parametrize("accept", [JSON, XML, "text/xml"])


def seed(client: FlaskClient) -> None:
    for url, document in ((CHECK, SEEDED_ITEM), (RUNS, SEEDED_RUN)):
        assert client.post(url, json=document).status_code == 201


def assert_described(
    client: FlaskClient, accept: str, description: Description, expected: tuple[str, int, Ask]
) -> None:
    operation_id, status, sent = expected
    client.environ_base["HTTP_ACCEPT"] = accept
    response = sent(client)
    assert response.status_code == status, f"{operation_id}: {response.text}"
    described = description.response(operation_id, status)
    description.assert_fits(response, described)
    if accept in described.get("content", {}) and response.request.headers["Accept"] == accept:
        assert response.mimetype == accept


@in_each_format
def test_answers_are_as_described(client: FlaskClient, description: Description, accept: str) -> None:
    seed(client)
    for expected in ANSWERS:
        assert_described(client, accept, description, expected)


def test_every_described_success_is_among_the_answers_above(description: Description) -> None:
    described = {
        (operation["operationId"].removesuffix("_of_own_tenant"), int(status))
        for _, _, operation in description.operations()
        for status in operation["responses"]
        if int(status) < 400
    }
    assert described <= {(operation_id, status) for operation_id, status, _ in ANSWERS}


def keyed(description: Description) -> list[tuple[str, str, str, Json]]:
    """Return id, method, a URL, and the responses of each operation that needs a key."""
    return [
        (operation["operationId"], method, re.sub(r"{\w+}", "123456", path), operation)
        for path, method, operation in description.operations()
        if "security" in operation
    ]


@in_each_format
def test_refusals_are_as_described(app: Flask, make_key: MakeKey, description: Description, accept: str) -> None:
    nobody, other = app.test_client(), authorized(app, make_key("no:role"))
    for operation_id, method, url, operation in keyed(description):
        without_key = 401 if "401" in operation["responses"] else 403
        for client, status in ((nobody, without_key), (other, 403)):
            assert_described(client, accept, description, (operation_id, status, ask(method.upper(), url)))


@in_each_format
def test_a_method_that_is_unknown_is_refused_as_described(
    client: FlaskClient, description: Description, accept: str
) -> None:
    for url, name in ((ALARM, "fault405"), (RUNS, "error405")):
        response = client.patch(url, headers={"Accept": accept})
        assert (response.status_code, response.mimetype) == (405, accept)
        description.assert_fits(response, description.document["components"]["responses"][name])


@in_each_format
def test_a_limit_that_is_reached_is_told_as_described(
    make_app: MakeApp, key: str, description: Description, accept: str
) -> None:
    client = authorized(make_app(HISTORY_RATE_LIMIT="1/day", RUNS_RATE_LIMIT="1/day"), key)
    for operation_id, url in (("list_items", CHECK), ("list_runs", RUNS)):
        for status in (200, 429):
            assert_described(client, accept, description, (operation_id, status, ask("GET", url)))


@in_each_format
def test_a_fault_of_the_service_is_told_as_described(
    client: FlaskClient, db: Database, description: Description, accept: str
) -> None:
    seed(client)
    db.execute(HistoryItemRow.update(document="no JSON", xml=None))
    db.execute(NotificationRunRow.update(document="no JSON"))
    broken = [("add_attempt", ask("POST", ATTEMPTS, {})), ("record_runs", ask("POST", RUNS, SEEDED_RUN))]
    if accept != JSON:  # kept JSON goes out unread
        broken += [("get_item", ask("GET", ITEM)), ("get_run", ask("GET", f"{RUNS}/1"))]
    for operation_id, sent in broken:
        assert_described(client, accept, description, (operation_id, 500, sent))
    for operation_id, _, _, operation in keyed(description):
        like = "add_attempt" if "401" in operation["responses"] else "record_runs"
        assert description.response(operation_id, 500) == description.response(like, 500)


@in_each_format
def test_a_database_that_is_gone_is_told_as_described(storeless: Flask, description: Description, accept: str) -> None:
    client = storeless.test_client()
    for operation_id, method, url, _ in keyed(description):
        assert_described(client, accept, description, (operation_id, 503, ask(method.upper(), url)))
    assert_described(client, accept, description, ("readyz", 503, ask("GET", "/readyz")))
