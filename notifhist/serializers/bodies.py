"""A request's body as a document that is valid by its schema, or one error that names every wrong member."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError

from notifhist.errors import BadRequest, RequestTooLarge, UnsupportedMediaType, name_problems
from notifhist.schemas.document import Document, DocumentSchema
from notifhist.schemas.validation import validate
from notifhist.serializers.charsets import charset_of
from notifhist.serializers.formats import JSON_AND_XML, Formats
from notifhist.serializers.from_xml import OtherRoot
from notifhist.serializers.parsed import Limits, Parsed, Path, path_text

MAX_BODY_BYTES = 2 * 1024 * 1024
"""The largest body that is no container, unless its view declares another size."""
MAX_CONTAINER_BYTES = 16 * 1024 * 1024
"""The largest container of items or runs."""
LIMITS = Limits(records=10_000, values=700_000, elements=500_000)
"""What a body may hold, so that about 2 s of processor time are enough for it.

16 MiB of usual records have 670,000 values, or 480,000 elements.
"""


@dataclass(frozen=True)
class ExpectedBody:
    """A body that a view declares: a document of `single`, of `max_bytes` at most, or several in a `container`."""

    single: DocumentSchema
    container: DocumentSchema | None = None
    formats: Formats = JSON_AND_XML
    max_bytes: int = MAX_BODY_BYTES

    @property
    def largest_bytes(self) -> int:
        """The size up to which a body is read at all: of one that cannot be read, that is told, not its size."""
        return max(self.max_bytes, MAX_CONTAINER_BYTES)

    def too_large(self) -> RequestTooLarge:
        """Return the error for a body that exceeds the size."""
        if self.max_bytes == MAX_BODY_BYTES:
            return RequestTooLarge()
        return RequestTooLarge(f"The body is too large: it may have {self.max_bytes} bytes.")


@dataclass(frozen=True)
class Body:
    """A document that fits, as its schema loads it; `is_container` says whether it holds several."""

    document: Document
    is_container: bool


def parse_body(data: bytes, content_type: str | None, expected: ExpectedBody) -> Body:
    """Return `data`, parsed and validated as `expected` says.

    Raises UnsupportedMediaType, RequestTooLarge, or BadRequest naming every wrong member by its path.
    """
    if not data:
        raise BadRequest("The body is empty.")
    body_format = expected.formats.named_by(content_type)
    if body_format is None or body_format.parse is None:
        raise UnsupportedMediaType(f"Send the body as {expected.formats}, and say so in Content-Type.")
    is_large = len(data) > expected.max_bytes
    charset = charset_of(content_type)
    if charset is not None and body_format.as_utf8 is not None:
        data = body_format.as_utf8(data, charset)
    try:
        parsed = body_format.parse(data, expected.single, expected.container, LIMITS)
    except OtherRoot:
        if is_large:  # only a container may be
            raise expected.too_large() from None
        raise
    if is_large and not parsed.is_container:
        raise expected.too_large()
    return validate_parsed(parsed, expected.single, expected.container)


def validate_parsed(parsed: Parsed, single: DocumentSchema, container: DocumentSchema | None = None) -> Body:
    """Return the parsed body as its schema loads it. Raises BadRequest naming every wrong member."""
    schema = container if parsed.is_container and container is not None else single
    problems = dict(parsed.problems)
    document: Document = {}
    try:
        document = validate(schema, parsed.document)
    except ValidationError as error:
        for path, message in _leaves(error.messages, ()):
            problems.setdefault(path_text(path) or "the body", message)
    if problems:
        raise BadRequest("The body does not fit.", name_problems(problems))
    return Body(document, parsed.is_container)


def _leaves(messages: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Yield path and text of each leaf of marshmallow's nested messages."""
    if isinstance(messages, dict):
        for key, inner in messages.items():
            yield from _leaves(inner, path if key == "_schema" else (path, key))
    else:
        yield path, " ".join(messages)
