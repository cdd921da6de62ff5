"""The same documents as JSON or as XML: pure functions between documents and bytes."""

from collections.abc import Callable

from notifhist.representation import as_json, as_xml, from_json, from_xml
from notifhist.representation.kept import Kept
from notifhist.representation.parsed import Parsed
from schemas.document import Document, DocumentSchema

RENDERERS: dict[str, Callable[[Document | Kept, DocumentSchema], list[bytes]]] = {
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
