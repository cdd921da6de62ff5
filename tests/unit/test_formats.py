"""Formats are values: what is chosen among, what is read and what is told follow from those given."""

import pytest

from notifhist.schemas.document import Document, DocumentSchema
from notifhist.serializers.formats import JSON, JSON_AND_XML, XML, Format, Formats
from notifhist.serializers.stored import StoredDocument, StoredForm


def write_nothing(document: Document | StoredDocument, schema: DocumentSchema) -> list[bytes]:
    return []


CSV = Format("CSV", ("text/csv", "text/x-csv"), write_nothing)


def test_json_comes_first_and_has_one_media_type() -> None:
    assert JSON_AND_XML.media_types == ("application/json", "application/xml", "text/xml")
    assert list(JSON_AND_XML) == [JSON, XML]


def test_each_media_type_is_of_its_format() -> None:
    formats = Formats(CSV, XML)
    assert [formats[each] for each in formats.media_types] == [CSV, CSV, XML, XML]
    assert str(formats) == "text/csv or application/xml"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [(None, "application/json"), ("text/csv", "text/csv"), ("text/*", "text/xml"), ("application/x-protobuf", None)],
)
def test_a_third_format_is_chosen_like_the_others(accept: str | None, chosen: str | None) -> None:
    assert Formats(JSON, XML, CSV).accepted_by(accept) == chosen


@pytest.mark.parametrize(
    ("content_type", "named"),
    [("text/xml; charset=utf-8", XML), ("TEXT/CSV", CSV), ("text/*", None), ("text/html", None), (None, None)],
)
def test_a_content_type_names_a_format(content_type: str | None, named: Format | None) -> None:
    assert Formats(JSON, XML, CSV).named_by(content_type) is named


def test_the_store_hands_out_json_unless_a_format_inserts_another_form() -> None:
    assert [each.stored_form for each in (JSON, XML, CSV)] == [StoredForm.JSON, StoredForm.XML, StoredForm.JSON]
