"""The body of a request that comes in chunks (RFC 9112, 7.1), decoded as it arrives: each byte is looked at once."""

import re

from gunicorn.http.body import CHUNK_EXT_RE
from gunicorn.http.errors import ChunkMissingTerminator, InvalidChunkExtension, InvalidChunkSize, LimitRequestHeaders

LINE_BYTES = 8190
"""How long the line before a chunk, with its extensions, may be."""
TRAILER_BYTES = 65_536
_CRLF = b"\r\n"
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;.*)?")


class Chunks:
    """A decoder; `done` once the trailer has ended."""

    def __init__(self) -> None:
        self.done = False
        self._left = 0  # bytes of the current chunk that are yet to come
        self._ends_chunk = False  # whether a CRLF closes a chunk before the next size
        self._in_trailer = False
        self._trailer_bytes = 0

    def feed(self, buffer: bytearray) -> bytes:
        """Take from the beginning of `buffer` all that can be decoded; return what it decodes to.

        Raises what gunicorn raises for a bad chunk (`ParseException`).
        """
        data, decoded, at = bytes(buffer), [], 0
        while not self.done:
            if self._left:
                piece = data[at : at + self._left]
                decoded.append(piece)
                self._left -= len(piece)
                at += len(piece)
                if self._left:
                    break
                self._ends_chunk = True
            if self._ends_chunk:
                if data[at : at + 2] != _CRLF:
                    if _CRLF.startswith(data[at : at + 2]):
                        break  # half of it may have arrived
                    raise ChunkMissingTerminator(data[at : at + 2])
                at += 2
                self._ends_chunk = False
            end_of_line = data.find(_CRLF, at, at + LINE_BYTES + 2)
            if end_of_line < 0:
                if len(data) - at > LINE_BYTES:
                    raise InvalidChunkSize(b"a line without an end")
                break
            self._read_line(data[at:end_of_line])
            at = end_of_line + 2
        del buffer[:at]
        return b"".join(decoded)

    def _read_line(self, line: bytes) -> None:
        if self._in_trailer:  # its fields are dropped: nothing of ours reads them
            self.done = not line
            self._trailer_bytes += len(line)
            if self._trailer_bytes > TRAILER_BYTES or b"\n" in line:
                raise LimitRequestHeaders("trailer")
            return
        found = _SIZE.fullmatch(line)
        if found is None:
            raise InvalidChunkSize(line)
        if found[2] and not CHUNK_EXT_RE.fullmatch(found[2]):
            raise InvalidChunkExtension("invalid chunk extension")
        self._left = int(found[1], 16)
        self._in_trailer = not self._left
