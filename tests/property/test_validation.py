"""`validation.validate` returns for any document what its schema's own `load` returns, or raises the same messages."""

import json
from collections.abc import Callable
from typing import Any, Never

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validates, validates_schema

from notifhist.schemas import validation
from notifhist.schemas.document import Document, DocumentSchema, dump
from notifhist.schemas.history import ATTEMPT, HISTORY_CONTAINER, ITEM
from notifhist.schemas.logs import LOG, LOGS_CONTAINER
from notifhist.schemas.resources import ITEM_RESOURCE, LOG_RESOURCE, RUN_RESOURCE
from notifhist.schemas.runs import RUN, RUNS_CONTAINER
from notifhist.schemas.validation import Documents
from notifhist.schemas.writing import write
from tests.property.strategies import ANY_ITEM, AWKWARD_ITEM, MAPS, NAMES, VALUES, examples
from tests.property.test_logs import GIVEN_LOGS
from tests.property.test_runs import GIVEN_RUNS

IDS = {"tenant": "t", "entity_id": "e", "alarm_id": "a", "check_id": "c"}
OBJECTS = [{"id": 1, "name": "n", "type": "ENTITY"}]
RUN_OF_OBJECTS = {
    "notificationType": "WEEKLY_REPORT",
    "medium": "SLACK",
    "status": "FAILED",
    "dateCreated": "2024-07-29T15:51:28Z",
    "notificationObjects": OBJECTS,
}
A_LOG = {
    "runId": 1,
    "type": "WEEKLY_REPORT",
    "medium": "SLACK",
    "recipientType": "TEAM",
    "status": "DELIVERED",
    "dateDelivered": "2024-07-29T15:51:28Z",
}
DOCUMENTS: dict[DocumentSchema, st.SearchStrategy[Document]] = {
    ITEM: ANY_ITEM,
    ATTEMPT: MAPS.filter(lambda attempt: not {"message", "from"} & attempt.keys()),
    HISTORY_CONTAINER: st.fixed_dictionaries(
        {"values": st.lists(ANY_ITEM, max_size=2)}, optional={"metadata": MAPS, "next": VALUES}
    ),
    ITEM_RESOURCE.line: st.fixed_dictionaries(
        {**{name: st.just(each) for name, each in IDS.items()}, "item": ANY_ITEM}
    ),
    RUN: GIVEN_RUNS,
    RUNS_CONTAINER: st.fixed_dictionaries({"runs": st.lists(GIVEN_RUNS, max_size=2)}),
    RUN_RESOURCE.line: st.fixed_dictionaries({"tenant": st.just("t"), "run": GIVEN_RUNS}),
    LOG: GIVEN_LOGS,
    LOGS_CONTAINER: st.fixed_dictionaries({"logs": st.lists(GIVEN_LOGS, max_size=2)}),
    LOG_RESOURCE.line: st.fixed_dictionaries({"tenant": st.just("t"), "log": GIVEN_LOGS}),
}
FITTING = [
    (ITEM, AWKWARD_ITEM),
    (ATTEMPT, {"message": "sent", "from": "ele", "on": 1}),
    (HISTORY_CONTAINER, {"metadata": {"limit": 1}, "values": [AWKWARD_ITEM]}),
    (ITEM_RESOURCE.line, {**IDS, "item": AWKWARD_ITEM}),
    (RUN, RUN_OF_OBJECTS),
    (RUNS_CONTAINER, {"runs": [RUN_OF_OBJECTS], "total": 1}),
    (RUN_RESOURCE.line, {"tenant": "t", "run": RUN_OF_OBJECTS}),
    (LOG, A_LOG),
    (LOGS_CONTAINER, {"logs": [A_LOG], "total": 1}),
    (LOG_RESOURCE.line, {"tenant": "t", "log": A_LOG}),
]


class Inner(DocumentSchema):
    n = fields.Integer()


class WithHook(DocumentSchema):
    n = fields.Integer()

    @validates_schema
    def _refuse_two(self, data: Document, **kwargs: Any) -> None:
        if data.get("n") == 2:
            raise ValidationError("Two.")


class WithFieldHook(DocumentSchema):
    n = fields.Integer()

    @validates("n")
    def _refuse_two(self, value: int, data_key: str) -> None:
        if value == 2:
            raise ValidationError("Two.")


def refuse_two(value: Any) -> None:
    if "2" in str(value):
        raise ValidationError("Two.")


class Listing(DocumentSchema):
    n = Documents(fields.Integer(), validate=refuse_two)


class Nesting(DocumentSchema):
    n = fields.Nested(Inner, validate=refuse_two)


class NestingOthers(DocumentSchema):
    n = fields.Nested(Inner, unknown=EXCLUDE)


class NestingMany(DocumentSchema):
    n = fields.Nested(Inner(many=True))


class NestingHook(DocumentSchema):
    n = fields.Nested(WithHook)


class Defaulting(DocumentSchema):
    n = fields.Integer(load_default=1)


class Dumping(DocumentSchema):
    n = fields.Integer(dump_only=True)


class PlainList(DocumentSchema):
    n = fields.List(fields.Integer())


class Changing(DocumentSchema):
    n = fields.Integer(validate=refuse_two, pre_load=lambda value: value, post_load=lambda value: value + 1)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every map and list within a value, each with every key or index it has."""
    if not isinstance(value, dict | list):
        return []
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


@st.composite
def damaged(draw: st.DrawFn, documents: st.SearchStrategy[Document]) -> Any:
    """A document in which a member, however deep, has become anything, is gone, or has got a neighbour."""
    document = json.loads(json.dumps(draw(documents)))
    if not (all_places := places(document)):
        return draw(VALUES)
    holder, key = draw(st.sampled_from(all_places))
    match draw(st.sampled_from(("another", "none", "one more"))):
        case "another":
            holder[key] = draw(VALUES)
        case "none":
            del holder[key]
        case _ if isinstance(holder, dict):
            holder[draw(NAMES)] = draw(VALUES)
        case _:
            holder.append(draw(VALUES))
    return document


def outcome(load: Callable[[Any], Any], document: Any) -> tuple[str, Any]:
    try:
        return "loaded", json.dumps(load(document))
    except ValidationError as error:
        return "refused", error.messages


@pytest.mark.parametrize("schema", DOCUMENTS, ids=lambda schema: type(schema).__name__)
def test_it_is_what_marshmallow_makes_of_it(schema: DocumentSchema) -> None:
    @given(DOCUMENTS[schema] | damaged(DOCUMENTS[schema]) | VALUES)
    @examples(5)
    def holds(document: Any) -> None:
        loaded = outcome(lambda each: validation.validate(schema, each), document)
        assert loaded == outcome(schema.load, document)

    holds()


@pytest.mark.parametrize(("schema", "document"), FITTING, ids=[type(each).__name__ for each, _ in FITTING])
def test_a_document_that_fits_needs_no_second_look(
    schema: DocumentSchema, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = schema.load(document)

    def refuse(*args: Any, **kwargs: Any) -> Never:
        pytest.fail("marshmallow was asked")

    monkeypatch.setattr(Schema, "load", refuse)
    assert validation.validate(schema, document) == expected


@pytest.mark.parametrize(
    "kind",
    [
        *(WithHook, WithFieldHook, Listing, Nesting, NestingOthers, NestingMany, NestingHook, Defaulting),
        *(Dumping, PlainList, Changing),
    ],
)
@pytest.mark.parametrize("value", [1, 2, None, [1], [1, 2], (1,), {}, {"n": 1}, {"n": 2}, {"n": 1, "m": 1}, [{"n": 1}]])
def test_what_else_a_schema_may_use_is_not_passed_over(kind: type[DocumentSchema], value: Any) -> None:
    schema = kind()
    for document in ({"n": value}, {}, {"n": value, "m": 1}):
        assert outcome(lambda each: validation.validate(schema, each), document) == outcome(schema.load, document)


@pytest.mark.parametrize("schema", [RUN, LOG], ids=["run", "log"])
def test_a_closed_document_is_written_as_marshmallow_writes_it(schema: DocumentSchema) -> None:
    @given(DOCUMENTS[schema])
    @examples()
    def holds(document: Document) -> None:
        record = schema.load(document)
        assert json.dumps(write(schema, record)) == json.dumps(dump(schema, record))

    holds()
