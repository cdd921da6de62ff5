"""The stylesheets and the script of the pages, under URLs that change with their content."""

import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

CONTENT_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/x-icon",
}
"""The kinds of assets, by the extension of their files in the folder `static`."""
IMMUTABLE = "public, max-age=31536000, immutable"
"""A year; another content has another URL."""


class Asset(NamedTuple):
    """A file to be sent: the first part of its SHA-256, its content and Content-Type."""

    hash: str
    content: bytes
    content_type: str


_STRING = rb"""(?P<kept>"(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | `[^`]*`)"""
_BLANK = rb"(?:\s|/\*(?:[^*]|\*(?!/))*\*/)"
_SHORT_IN_STYLESHEET = re.compile(
    rb"%b | %b*(?P<mark>[{};>])%b* | (?<=[:,])%b+ | (?P<blank>%b+)" % (_STRING, *[_BLANK] * 4), re.VERBOSE | re.DOTALL
)
_SHORT_IN_SCRIPT = re.compile(
    rb"%b | //[^\n]*\s* | /\*.*?\*/\s* | \s*(?P<mark>[][{}()=<>,;:?&|!+*-])\s*" % _STRING, re.VERBOSE | re.DOTALL
)
_SHORT_IN = {"css": _SHORT_IN_STYLESHEET, "js": _SHORT_IN_SCRIPT}
"""What is made short, by the extension: before its first paint a page needs all of it.

Our script has a semicolon after each statement, no literal of a regular expression, no "+ +" and no "- -":
tests/unit/test_slim_assets.py refuses others.
"""
_WRITTEN = {"kept": rb"\g<kept>", "mark": rb"\g<mark>", "blank": b" ", None: b""}
"""What is written for what was found: a string, a mark, a blank that is needed; nothing for all else."""


def slim(extension: str, text: bytes) -> bytes:
    """Return a stylesheet without what means nothing, a sixth less, or a script, a quarter less; others as they are."""
    if (short := _SHORT_IN.get(extension)) is None:
        return text
    return short.sub(lambda found: found.expand(_WRITTEN[found.lastgroup]), text).strip()


@cache
def assets() -> dict[str, Asset]:
    """Return all assets by the names of their files."""
    found = {}
    for file in files(__package__).joinpath("static").iterdir():
        extension = file.name.rpartition(".")[2]
        if extension in CONTENT_TYPES:
            content = slim(extension, file.read_bytes())
            found[file.name] = Asset(hashlib.sha256(content).hexdigest()[:16], content, CONTENT_TYPES[extension])
    return found
