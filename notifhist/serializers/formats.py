"""The formats of documents. A view declares which ones it offers and reads; no other code names one."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from notifhist.schemas.document import Document, DocumentSchema
from notifhist.serializers import as_csv, as_json, as_ndjson, as_xml, charsets, from_json, from_xml, negotiation
from notifhist.serializers.lines import Lines
from notifhist.serializers.parsed import Limits, Parsed
from notifhist.serializers.stored import StoredDocument, StoredForm


@dataclass(frozen=True, eq=False)
class Format:
    """A way to write documents.

    `media_types`: the default first. `parameters` follow the media type in an answer's Content-Type, such as
    "; charset=utf-8". `render` returns the body in parts; `parse` reads one, see `Parsed`; None: it is only written.
    `as_utf8` brings a body to what `parse` reads, if Content-Type names a charset.
    `stored_form` is the form in which `render` wants documents from the store. `shape` says how OpenAPI describes one:
    by its members, by its XML elements, or as mere text. `stream` writes any number of documents, of one schema, in
    pieces; None: it is never streamed. `extension` ends the name of a file in a format that is taken away as one.
    `description` tells readers of the API what a mere text is.
    """

    name: str
    media_types: tuple[str, ...]
    render: Callable[[Document | StoredDocument, DocumentSchema], list[bytes]]
    parse: Callable[[bytes, DocumentSchema, DocumentSchema | None, Limits], Parsed] | None = None
    stored_form: StoredForm = StoredForm.JSON
    parameters: str = ""
    shape: Literal["members", "elements", "text"] = "text"
    as_utf8: Callable[[bytes, str], bytes] | None = None
    stream: Callable[[Iterable[Lines], DocumentSchema], Iterator[bytes]] | None = None
    extension: str = ""
    description: str = ""

    @property
    def word(self) -> str:
        """The word for it in a query string."""
        return self.name.lower()


class Formats:
    """Formats to choose from, the preferred one first."""

    def __init__(self, *formats: Format) -> None:
        self._by_media_type = {media_type: each for each in formats for media_type in each.media_types}
        self._formats = formats
        self.media_types = tuple(self._by_media_type)

    def __iter__(self) -> Iterator[Format]:
        return iter(self._formats)

    def __getitem__(self, media_type: str) -> Format:
        return self._by_media_type[media_type]

    def __str__(self) -> str:
        return " or ".join(each.media_types[0] for each in self._formats)

    def accepted_by(self, accept: str | None) -> str | None:
        """Return the media type that an Accept header prefers; None if it accepts none (`negotiation.choose`)."""
        return negotiation.choose(accept, self.media_types)

    def of_word(self, word: str) -> Format | None:
        """Return the format that a query string means by a word; None if it means none of these."""
        return next((each for each in self if each.word == word), None)

    def named_by(self, content_type: str | None) -> Format | None:
        """Return the format that a Content-Type header names; None if it names none of these."""
        media_type = negotiation.media_type_of(content_type, self.media_types)
        return None if media_type is None else self[media_type]


CHARSET = "; charset=utf-8"
"""Parameter of a media type of text. Clients guess Latin-1 for XML that does not name its charset."""
JSON = Format(
    "JSON", ("application/json",), as_json.parts, parse=from_json.parse, shape="members", as_utf8=charsets.json_as_utf8
)
XML = Format(
    "XML",
    ("application/xml", "text/xml"),
    as_xml.parts,
    parse=from_xml.parse,
    stored_form=StoredForm.XML,
    parameters=CHARSET,
    shape="elements",
    as_utf8=charsets.xml_as_utf8,
)
CSV = Format(
    "CSV",
    ("text/csv",),
    as_csv.parts,
    parameters=f"{CHARSET}; header=present",
    stream=as_csv.stream,
    extension="csv",
    description="A line with the names of the members, then a line for each document. Times are ISO 8601, UTC.",
)
NDJSON = Format(
    "NDJSON",
    ("application/x-ndjson",),
    as_ndjson.parts,
    stream=as_ndjson.stream,
    extension="ndjson",
    description="A line for each document, which is JSON.",
)
TO_TAKE_AWAY = Formats(JSON, XML, CSV, NDJSON)
"""The formats of lists that people take away whole."""
JSON_AND_XML = Formats(JSON, XML)
"""The formats that most views offer and read, and in which errors are written."""
