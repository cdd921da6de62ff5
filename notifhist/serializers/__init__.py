"""The same documents as JSON or as XML: pure functions between documents and bytes."""

from collections.abc import Callable

from notifhist.schemas.document import Document, DocumentSchema
from notifhist.serializers import as_json, as_xml, from_json, from_xml
from notifhist.serializers.parsed import Parsed
from notifhist.serializers.stored import StoredDocument

RENDERERS: dict[str, Callable[[Document | StoredDocument, DocumentSchema], list[bytes]]] = {
    "application/json": as_json.parts,
    "application/xml": as_xml.parts,
    "text/xml": as_xml.parts,
}
"""Media types that can be answered, the default first. What they return is the body in parts."""

PARSERS: dict[str, Callable[[bytes, DocumentSchema, DocumentSchema | None], Parsed]] = {
    "application/json": from_json.parse,
    "application/xml": from_xml.parse,
    "text/xml": from_xml.parse,
}
"""Media types that a body may have. See `Parsed` for what the parsers take and return."""
