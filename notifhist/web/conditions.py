"""Conditional requests (RFC 9110, 13): ETags, `If-None-Match` of those who read, both conditions of those who write."""

import hashlib
import re
from collections.abc import Iterable

from flask import g, request

from notifhist.errors import PreconditionFailed
from notifhist.schemas.document import DocumentSchema
from notifhist.serializers.stored import StoredDocument
from notifhist.store.recording import Precondition
from notifhist.web.shortcuts import unwrap

HASH_SLICE_BYTES = 2047
"""From 2048 bytes on hashlib releases the GIL, and waiting to re-acquire it costs more than hashing them."""

_TAG = re.compile(r'(W/)?(?:"([^"]*)"|([^\s",]+))')
"""A tag and whether it is weak. Each character is looked at once; some clients leave out the quotes."""


def tag_of(parts: Iterable[bytes]) -> str:
    """Return the tag of an answer with these bytes, without quotes."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        for start in range(0, len(part), HASH_SLICE_BYTES):
            digest.update(part[start : start + HASH_SLICE_BYTES])
    return digest.hexdigest()


def has_already(tag: str) -> bool:
    """Say whether the request reads, and its `If-None-Match` has the tag of the answer."""
    environ = request.environ
    header: str | None = environ.get("HTTP_IF_NONE_MATCH")
    return header is not None and environ["REQUEST_METHOD"] in ("GET", "HEAD") and _lists(header, [tag], weak=True)


def precondition(schema: DocumentSchema) -> Precondition | None:
    """Return what raises PreconditionFailed where the request's conditions forbid to change a document of `schema`.

    None if it has no conditions. A document has a tag in each format of the view.
    """
    environ, view = request.environ, unwrap(g).view
    if_match: str | None = environ.get("HTTP_IF_MATCH")
    if_none_match: str | None = environ.get("HTTP_IF_NONE_MATCH")
    if if_match is None and if_none_match is None:
        return None

    def has_tag_of(current: StoredDocument | None, header: str, *, weak: bool) -> bool:
        # One by one: an XML text is rendered only if the tag of the JSON does not match.
        return current is not None and _lists(
            header, (tag_of(f.render(current, schema)) for f in view.offers), weak=weak
        )

    def check(current: StoredDocument | None) -> None:
        if if_match is not None and not has_tag_of(current, if_match, weak=False):
            raise PreconditionFailed(details="If-Match has no tag of what is here now.")
        if if_none_match is not None and has_tag_of(current, if_none_match, weak=True):
            raise PreconditionFailed(details="If-None-Match has the tag of what is here now, or is *.")

    return check


def _lists(header: str, tags: Iterable[str], *, weak: bool) -> bool:
    """Say whether a header is `*` or lists one of the tags; a weak tag is equal only where `weak` comparison is."""
    if header.strip() == "*":
        return True
    listed = {quoted or bare for is_weak, quoted, bare in _TAG.findall(header) if weak or not is_weak}
    return any(tag in listed for tag in tags)
