"""A request's head: gunicorn's parser, given the whole of it at once."""

import re
from typing import Any, NamedTuple

from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import InvalidHeader, LimitRequestHeaders, NoMoreData, UnsupportedTransferCoding
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

REQUEST_LINE_BYTES = 32_768
"""Five ids of 255 characters, each of up to 12 bytes encoded, are 15.3 kB; as much again for the query."""
HEAD_BYTES = 2 * REQUEST_LINE_BYTES
"""More than that no head may have: the app reads some fields in 0.1 ms a kilobyte."""
READS = ("GET", "HEAD", "OPTIONS")

_END = b"\r\n\r\n"
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")


def end_of_head(buffer: bytearray, seen: int) -> int:
    """Return where the head that `buffer` begins with ends; 0 if more must come.

    The first `seen` bytes were looked at before. A head that can only be wrong ends here: parsing it tells why.
    """
    found = buffer.find(_END, max(seen - 3, 0))
    if found >= 0:
        return found + len(_END)
    line_is_too_long = len(buffer) > REQUEST_LINE_BYTES and buffer.find(b"\r\n", 2, REQUEST_LINE_BYTES + 2) < 0
    if line_is_too_long or len(buffer) > HEAD_BYTES or _BARE_LINE_FEED.search(buffer, max(seen - 1, 0)):
        return len(buffer)
    return 0


class Incoming(Request):  # type: ignore[misc]  # gunicorn ships no types
    """A request whose head is parsed from `head`. Raises what gunicorn raises for a bad one (`ParseException`)."""

    headers: list[tuple[str, str]]
    body: Any
    _expected_100_continue: bool

    def __init__(self, cfg: Any, head: bytes, peer: Any) -> None:
        self._is_too_long = len(head) > HEAD_BYTES
        super().__init__(cfg, IterUnreader([head]), peer)
        if self._is_too_long:
            raise LimitRequestHeaders("head")
        authority = re.match("[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)", self.uri)
        hosts = [value for name, value in self.headers if name == "HOST"]
        if (not hosts and self.version >= (1, 1)) or (authority and not authority[1]):
            raise InvalidHeader("HOST")  # RFC 9112, 3.2; RFC 9110, 4.2.1
        if authority and self.method != "CONNECT":
            self.headers = [each for each in self.headers if each[0] != "HOST"] + [("HOST", authority[1])]
        self.expects_100: bool = self._expected_100_continue
        """Whether the client waits for a 100 before it sends the body."""
        self._expected_100_continue = False  # else gunicorn would send it too
        reader = self.body.reader
        self.length: int | None = None if isinstance(reader, ChunkedReader) else reader.length
        """How many bytes the body has; None if it comes in chunks."""
        self.is_read: bool = self.method in READS
        """Whether the request changes nothing."""

    def set_body_reader(self) -> None:
        """Refuse every transfer coding but chunked; gunicorn passes over some, and finds others malformed."""
        if any(value.lower() != "chunked" for name, value in self.headers if name == "TRANSFER-ENCODING"):
            raise UnsupportedTransferCoding("chunked alone is known")
        super().set_body_reader()

    def parse(self, unreader: Any) -> Any:
        """Parse the head. gunicorn's setting for the request line goes to 8190 bytes, or has no limit."""
        self.limit_request_line = REQUEST_LINE_BYTES
        try:
            return super().parse(unreader)
        except (NoMoreData, StopIteration) as error:
            raise (LimitRequestHeaders if self._is_too_long else InvalidHeader)("the head does not end") from error


class Told(NamedTuple):
    """What can be read of a head, valid or not; an empty text or None for what is missing."""

    method: str
    path: str
    accept: str | None
    origin: str | None


def told_by(head: bytes) -> Told:
    """Return what a raw head tells to whom it is answered, and how."""
    text = head.lstrip().split(_END)[0].decode("latin-1")
    line = re.match(r"([A-Za-z]{1,20}) ([^\s?#]*)", text)
    method, path = line.groups() if line else ("", "")
    return Told(method, path, _values(text, "accept"), _values(text, "origin"))


def _values(text: str, name: str) -> str | None:
    values = re.findall(rf"(?im)^{name}:[ \t]*([^\r\n]*)", text)
    return ", ".join(values) if values else None
