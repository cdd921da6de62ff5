"""The XML that the service writes as text is, byte for byte, that of a tree of elements."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from marshmallow import fields

from notifhist.schemas.document import Document, DocumentSchema, member_fields
from notifhist.schemas.error import FAULT, RUN_ERROR
from notifhist.schemas.fields import FreeMap
from notifhist.schemas.history import ATTEMPT, DISCOVERY, HISTORY_CONTAINER, HISTORY_PAGE, ITEM
from notifhist.schemas.logs import LOG, LOGS_CONTAINER, LOGS_PAGE
from notifhist.schemas.runs import RUN, RUNS_CONTAINER, RUNS_PAGE
from notifhist.serializers import as_json, as_xml
from notifhist.serializers.stored import StoredForm, StoredPage
from tests import plain_xml
from tests.property.strategies import ANY_ITEM, AWKWARD_ITEM, AWKWARD_NAMES, MANY_ATTEMPTS, NUMBERS, TEXTS, examples
from tests.property.test_runs import GIVEN_RUNS

PURE = 4
"""How many times as many examples a test without a database can afford."""
HOSTILE = st.one_of(
    st.sampled_from(("\ud800", "\udfff\ud800", "a\ud83d", "\0\x1f\x7f\x85", "\ufffe\uffff\ufffd", "a'b\"c")),
    st.sampled_from(('"\t\n\r"', "&lt;", "]]>", "<values/>", "<!--", "<?xml?>", "{}", "%s", "xmlns", "x:y")),
    st.text(st.characters(), max_size=6),
)
"""Texts and names with lone surrogates, too: no body may have them, but what is written must be XML."""
ANY_NAMES = st.one_of(st.sampled_from(AWKWARD_NAMES), HOSTILE, st.just("n" * 1000), st.just("n" * 1001))
ANY_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, HOSTILE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_NAMES, inner, max_size=3),
    max_leaves=10,
)
ANY_MAPS = st.dictionaries(ANY_NAMES, ANY_VALUES, max_size=4)
SCHEMAS = (
    *(ITEM, ATTEMPT, HISTORY_PAGE, HISTORY_CONTAINER, DISCOVERY),
    *(RUN, RUNS_PAGE, RUNS_CONTAINER, LOG, LOGS_PAGE, LOGS_CONTAINER, FAULT, RUN_ERROR),
)


def unnamed(names: set[str]) -> Callable[[Document], Document]:
    """Return what leaves only such members of a map as have none of the names."""
    return lambda members: {name: value for name, value in members.items() if name not in names}


def assert_same(document: Document, schema: DocumentSchema) -> None:
    assert as_xml.render(document, schema) == plain_xml.render(document, schema)


@example({}, ITEM)
@example(AWKWARD_ITEM, ITEM)
@example(MANY_ATTEMPTS, ITEM)
@given(ANY_ITEM, st.just(ITEM))
@examples(PURE)
def test_items(item: Document, schema: DocumentSchema) -> None:
    assert_same(item, schema)


@given(ANY_MAPS, ANY_MAPS, st.permutations(("id", "details", "state", "results", "")))
@examples(PURE)
def test_hostile_names_and_texts_at_every_level(free: Document, more: Document, order: list[str]) -> None:
    result_names = {"notification_details", "attempts", "success", "in_progress"}
    more = unnamed({"id", "notification_results"})(more)
    result = {**unnamed(result_names)(more), "notification_details": free, "attempts": [more, {}, more]}
    members: dict[str, Document] = {
        "id": {"id": next(iter(free), "")},
        "details": {"a": free},
        "state": {"state": next(iter(more), "")},
        "results": {"notification_results": [result, {}]},
        "": more,
    }
    item = {name: value for part in order for name, value in members[part].items()}
    assert_same(item, ITEM)


@given(st.lists(GIVEN_RUNS, max_size=3), ANY_MAPS, st.integers(0, 9))
@examples(PURE)
def test_pages_of_runs(runs: list[Document], more: Document, number: int) -> None:
    page = {"page": number, "runs": runs, "total": number, "totalPages": number}
    assert_same(page, RUNS_PAGE)
    assert_same(dict(reversed(page.items())), RUNS_PAGE)
    assert_same({"runs": runs}, RUNS_CONTAINER)
    for run in runs:
        assert_same(run, RUN)
        assert_same({**run, **unnamed({*run, "notificationObjects"})(more)}, RUN)


@given(st.lists(ANY_ITEM, max_size=3), HOSTILE | st.none())
@examples()
def test_pages_of_items(items: list[Document], marker: str | None) -> None:
    metadata = {"count": 1, "limit": 2, "marker": marker, "next_marker": None, "next_href": marker}
    page = {"values": items, "metadata": metadata}
    assert_same(page, HISTORY_PAGE)
    assert_same(page, HISTORY_CONTAINER)
    texts = [as_json.text(item).encode() for item in items]
    elements = [as_xml.element(item, ITEM, ITEM.root).encode() for item in items]
    stored = (
        StoredPage(StoredForm.JSON, texts),
        StoredPage(StoredForm.XML, elements),
        StoredPage(StoredForm.XML, [b"".join(elements)] if items else ()),
    )
    for each in stored:
        document = {"values": each, "metadata": metadata}
        assert as_xml.render(document, HISTORY_PAGE) == plain_xml.render(page, HISTORY_PAGE)


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: type(schema).__name__)
@given(st.data())
@examples(0.5)
def test_every_document(schema: DocumentSchema, data: st.DataObject) -> None:
    document: Document = {}
    for name, field in member_fields(schema).items():
        if isinstance(field, fields.List):
            is_plain = isinstance(field.inner, fields.String)
            document[name] = data.draw(st.lists(HOSTILE if is_plain else st.just({}), max_size=3), label=name)
        elif not isinstance(field, fields.Nested | FreeMap):
            document[name] = data.draw(HOSTILE | st.none(), label=name)
    document |= unnamed({*member_fields(schema)})(data.draw(ANY_MAPS, label="unnamed"))
    assert_same({name: document[name] for name in data.draw(st.permutations(list(document)))}, schema)
    assert_same({}, schema)
