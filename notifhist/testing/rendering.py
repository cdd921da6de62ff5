"""The XML that the service makes of a document in JSON, by the schema of the view that answers it."""

import re
from functools import cache
from typing import Any

import notifhist.factory  # noqa: F401 - its views declare themselves when they are imported
from notifhist.schemas.document import DocumentSchema
from notifhist.serializers import as_xml
from notifhist.web.apis import APIS

_ID = re.compile("<[a-z_]+>")


def render_xml(path: str, document: dict[str, Any]) -> str:
    """Return the XML of what a path answers. Raises LookupError for a path that answers no document."""
    return as_xml.render(document, schema_of(path)).decode()


def schema_of(path: str) -> DocumentSchema:
    """Return the schema of what a GET of a path answers. Raises LookupError."""
    path = path.partition("?")[0]
    for pattern, schema in _views():
        if pattern.fullmatch(path):
            return schema
    raise LookupError(f"There is no document at {path}")


@cache
def _views() -> list[tuple[re.Pattern[str], DocumentSchema]]:
    """Return the patterns of all paths with their documents; words come before ids."""
    found = {
        prefix + view.path: view.documents[0]
        for api in APIS
        for view in api.views
        if view.method == "GET" and view.documents
        for prefix in api.prefixes
    }
    paths = sorted(found, key=lambda path: [part[:1] == "<" for part in path.split("/")])
    return [(re.compile(_ID.sub("[^/]+", path)), found[path]) for path in paths]
