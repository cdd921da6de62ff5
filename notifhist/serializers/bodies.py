"""A request's or file's body as documents that fit their schema, or one error that names what does not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError

from notifhist.errors import BadRequest, RequestTooLarge, UnsupportedMediaType, name_problems
from notifhist.schemas import loading
from notifhist.schemas.document import Document, DocumentSchema
from notifhist.serializers import PARSERS
from notifhist.serializers.negotiation import media_type_of
from notifhist.serializers.parsed import Parsed, Path, path_text

MAX_BODY = 2 * 1024 * 1024
"""Bytes of any body but a container."""
MAX_CONTAINER = 16 * 1024 * 1024
"""Bytes of a container of items or runs."""


@dataclass(frozen=True)
class Body:
    """A document that fits, as its schema loads it, and whether it is the container of several."""

    document: Document
    is_container: bool


def parse_body(
    data: bytes, content_type: str | None, single: DocumentSchema, container: DocumentSchema | None = None
) -> Body:
    """Return the body `data`, of the form of `single` or of `container` if that is given.

    Raises UnsupportedMediaType, RequestTooLarge, or BadRequest naming every wrong member by its path.
    """
    if not data:
        raise BadRequest("The body is empty.")
    media_type = media_type_of(content_type, tuple(PARSERS))
    if media_type is None:
        raise UnsupportedMediaType
    try:
        parsed = PARSERS[media_type](data, single, container)
    except BadRequest:
        if len(data) > MAX_BODY:  # whatever it is, it is no container
            raise RequestTooLarge from None
        raise
    if len(data) > MAX_BODY and not parsed.is_container:
        raise RequestTooLarge
    return load(parsed, single, container)


def load(parsed: Parsed, single: DocumentSchema, container: DocumentSchema | None = None) -> Body:
    """Return the parsed body as its schema loads it. Raises BadRequest naming every wrong member."""
    schema = container if parsed.is_container and container is not None else single
    problems = dict(parsed.problems)
    document: Document = {}
    try:
        document = loading.load(schema, parsed.document)
    except ValidationError as error:
        for path, message in _flat(error.messages, ()):
            problems.setdefault(path_text(path) or "the body", message)
    if problems:
        raise BadRequest("The body does not fit.", name_problems(problems))
    return Body(document, parsed.is_container)


def _flat(messages: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Yield path and message of each leaf of marshmallow's nested messages."""
    if isinstance(messages, dict):
        for key, inner in messages.items():
            yield from _flat(inner, path if key == "_schema" else (path, key))
    else:
        yield path, " ".join(messages)
