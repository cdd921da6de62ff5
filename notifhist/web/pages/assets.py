"""The stylesheets and the script of the pages, under URLs that change with their content."""

import hashlib
import re
from collections.abc import Callable
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


def _slim_stylesheet(text: bytes) -> bytes:
    """Return a stylesheet without comments and without blanks that mean nothing: a sixth less."""
    return _kept_or_short(_OF_STYLESHEET, text)


def _slim_script(text: bytes) -> bytes:
    """Return a script without comments and without blanks that mean nothing: a quarter less.

    Our script has a semicolon after each statement, no literal of a regular expression, no "+ +" and no "- -":
    tests/unit/test_slim_assets.py refuses others.
    """
    return _kept_or_short(_OF_SCRIPT, text)


def _kept_or_short(rule: re.Pattern[bytes], text: bytes) -> bytes:
    """Return a text whose strings are kept; of what else the rule finds marks stay, and a blank where one is needed."""
    kept = {"kept": rb"\g<kept>", "mark": rb"\g<mark>", "blank": b" ", None: b""}
    return rule.sub(lambda found: found.expand(kept[found.lastgroup]), text).strip()


_STRING = rb"""(?P<kept>"(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | `[^`]*`)"""
_BLANK = rb"(?:\s|/\*(?:[^*]|\*(?!/))*\*/)"
_OF_STYLESHEET = re.compile(
    rb"%b | %b*(?P<mark>[{};>])%b* | (?<=[:,])%b+ | (?P<blank>%b+)" % (_STRING, *[_BLANK] * 4), re.VERBOSE | re.DOTALL
)
_OF_SCRIPT = re.compile(
    rb"%b | //[^\n]*\s* | /\*.*?\*/\s* | \s*(?P<mark>[][{}()=<>,;:?&|!+*-])\s*" % _STRING, re.VERBOSE | re.DOTALL
)
_SLIMMED: dict[str, Callable[[bytes], bytes]] = {"css": _slim_stylesheet, "js": _slim_script}
"""How the content is made short, by the extension: before its first paint a page needs all of it."""


@cache
def assets() -> dict[str, Asset]:
    """Return all assets by the names of their files."""
    found = {}
    for file in files(__package__).joinpath("static").iterdir():
        extension = file.name.rpartition(".")[2]
        if extension in CONTENT_TYPES:
            content = _SLIMMED.get(extension, bytes)(file.read_bytes())
            found[file.name] = Asset(hashlib.sha256(content).hexdigest()[:16], content, CONTENT_TYPES[extension])
    return found
