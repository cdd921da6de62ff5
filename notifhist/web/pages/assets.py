"""The stylesheet and the script of the pages, under URLs that change with their content."""

import hashlib
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


@cache
def assets() -> dict[str, Asset]:
    """Return all assets by the names of their files."""
    found = {}
    for file in files(__package__).joinpath("static").iterdir():
        extension = file.name.rpartition(".")[2]
        if extension in CONTENT_TYPES:
            content = file.read_bytes()
            found[file.name] = Asset(hashlib.sha256(content).hexdigest()[:16], content, CONTENT_TYPES[extension])
    return found
