"""The description: valid OpenAPI, of every route and member."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import validate

from notifhist.schemas import deliveries, error, history, limits, logs, register, runs, states
from notifhist.schemas.delivery_queries import COUNTS_QUERY, DELIVERIES_QUERY, DELIVERY_FILTERS, INTERVALS_MS
from notifhist.schemas.document import DocumentSchema, member_fields
from notifhist.schemas.query import HISTORY_QUERY, LOGS_QUERY, REGISTER_QUERY, RUNS_QUERY
from tests.contract.described import Description
from tests.http.access_table import rules_of_apis

INTEGER_FROM_1 = {"type": "integer", "format": "int64", "minimum": 1, "maximum": 2**63 - 1}
EXAMPLES = Path(__file__).parent / "examples"


def documents() -> list[DocumentSchema]:
    """Return a schema of every document that has members."""
    modules = (history, runs, logs, register, states, limits, deliveries, error)
    values = [each for module in modules for each in vars(module).values()]
    classes = [type(each) if isinstance(each, DocumentSchema) else each for each in values]
    found = {each for each in classes if isinstance(each, type) and issubclass(each, DocumentSchema)}
    found.remove(deliveries.DeliveryAttemptSchema)  # the rows of a text
    return sorted((each() for each in found if each().fields), key=lambda each: type(each).__name__)


def component(description: Description, name: str) -> Any:
    return description.document["components"]["schemas"][name]


def test_it_is_valid_openapi(description: Description) -> None:
    validate(description.document)


def test_it_describes_every_route_and_nothing_else(storeless: Flask, description: Description) -> None:
    routes = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in rules_of_apis(storeless)
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


def test_answers_to_reads_alone_may_say_that_they_lag(description: Description) -> None:
    for _, method, operation in description.operations():
        if "security" in operation:
            for status in operation["responses"]:
                headers = description.response(operation["operationId"], int(status))["headers"]
                assert ("X-Notifhist-As-Of" in headers) is (method == "get"), (operation["operationId"], status)


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
    [
        *(("list_items", HISTORY_QUERY), ("list_items_of_own_tenant", HISTORY_QUERY)),
        *(("list_entities", REGISTER_QUERY), ("latest_alarm_states", REGISTER_QUERY)),
        *(("list_runs", RUNS_QUERY), ("list_logs", LOGS_QUERY)),
        *(("list_deliveries", DELIVERIES_QUERY), ("count_deliveries", COUNTS_QUERY)),
        ("list_receivers", DELIVERY_FILTERS),
    ],
)
def test_every_query_parameter_is_described(
    description: Description, operation_id: str, schema: DocumentSchema
) -> None:
    parameters = description.operation(operation_id)["parameters"]
    named = [each["name"] for each in parameters if each["in"] == "query"]
    assert [name for name in named if name != "format"] == list(member_fields(schema))
    assert ("format" in named) == (operation_id == "list_deliveries")


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
        ("NotificationLog", "runId", {"format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1}),
        ("NotificationLog", "recipientType", {"enum": ["USER", "TEAM", "ENTITY"]}),
        ("LogsPage", "logs", {"xml": {"name": "values", "wrapped": True}}),
        ("LogsPageXml", "metadata", {"required": ["page", "total", "totalPages"]}),
        ("RunsPageXml", "metadata", {"required": ["page", "total", "totalPages"]}),
        ("Delivery", "id", {"format": "uuid", "xml": {"attribute": True}}),
        ("Delivery", "outcome", {"enum": ["not_sent", "in_progress", "sent", "failed", "unknown"]}),
        ("Bucket", "counts", {"type": "object", "additionalProperties": INTEGER_FROM_1}),
        ("Receiver", "counts", {"additionalProperties": INTEGER_FROM_1}),
        ("DeliveriesMetadata", "total", {"type": "integer"}),
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
        (
            "recipientEntityIds",
            {
                "type": "array",
                "items": {"type": "integer", "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1},
                "maxItems": 1000,
            },
        ),
        ("recipientEmails", {"type": "array", "items": {"type": "string", "pattern": r"^[^\x00]*$"}, "maxItems": 1000}),
        ("orderBy", {"enum": ["ASC", "DESC"]}),
        ("untilDate", {"type": "string", "format": "date-time"}),
        ("outcome", {"items": {"type": "string", "enum": list(deliveries.OUTCOMES)}}),
        ("transaction_id", {"type": "array", "items": {"type": "string", "pattern": r"^[^\x00]*$"}}),
        ("interval", {"enum": list(INTERVALS_MS)}),
        ("by", {"enum": ["outcome", "state", "notification_type", "notification_id"]}),
        ("rows", {"enum": ["deliveries", "attempts"]}),
        ("format", {"enum": ["json", "xml", "csv", "ndjson"]}),
    ],
)
def test_the_values_of_parameters_are_described(description: Description, name: str, expected: dict[str, Any]) -> None:
    ids = ("list_items", "list_runs", "list_logs", "list_deliveries", "count_deliveries")
    parameters = [each for operation_id in ids for each in description.operation(operation_id)["parameters"]]
    parameter = next(each for each in parameters if each["name"] == name)
    assert parameter["schema"].items() >= expected.items()
    assert not parameter["required"]


def test_what_people_take_away_is_described_as_text(description: Description) -> None:
    content = description.response("list_deliveries", 200)["content"]
    assert list(content) == ["application/json", "application/xml", "text/xml", "text/csv", "application/x-ndjson"]
    for media_type in ("text/csv", "application/x-ndjson"):
        schema = content[media_type]["schema"]
        assert schema["type"] == "string"
        assert "line for each document" in schema["description"]
    for operation_id in ("count_deliveries", "list_receivers"):
        assert list(description.response(operation_id, 200)["content"]) == list(content)[:3]


def test_elements_that_stand_alone_are_named(description: Description) -> None:
    for schema in documents():
        named = component(description, type(schema).__name__.removesuffix("Schema")).get("xml", {})
        assert named.get("name", "") == schema.root


def test_an_envelope_in_xml_is_described_in_one_order(description: Description) -> None:
    # By a set it had another one in some processes, and so another ETag.
    envelope = component(description, "LogsPageXml")
    assert envelope["required"] == list(envelope["properties"]) == ["values", "metadata"]


def test_every_api_names_its_own_header_first(description: Description) -> None:
    first = {
        operation["operationId"]: next(iter(operation["security"][0]), "")
        for _, _, operation in description.operations()
        if "security" in operation
    }
    assert first["get_item"] == first["delete_item_of_own_tenant"] == "X-Auth-Token"
    assert first["get_run"] == first["record_runs"] == first["list_logs"] == "Bearer"
    assert len(list(description.operations())) - len(first) == 5  # the operations need no key


@pytest.mark.parametrize(
    ("example", "name"),
    [
        ("discovery", "Discovery"),
        ("list", "HistoryPage"),
        ("item", "HistoryItem"),
        ("runs", "RunsPage"),
        ("logs", "LogsPage"),
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
