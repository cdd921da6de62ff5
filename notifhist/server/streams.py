"""An answer whose body the app makes while it is sent (docs/adr/0023): its pieces as HTTP sends them."""

import logging
from collections.abc import Iterable

_LAST_CHUNK = b"0\r\n\r\n"

log = logging.getLogger(__name__)


class Stream:
    """A body of which no more than a piece is in memory. Any thread may call it, one at a time.

    `in_chunks`: whether each piece is a chunk (RFC 9112, 7.1); if not, only the end of the connection ends the body.
    `done`: whether its end was taken; `failed`: whether the app raised an error, so that there is no end.
    """

    def __init__(self, body: Iterable[bytes], *, in_chunks: bool, request_id: str | None) -> None:
        self._body, self._pieces = body, iter(body)
        self.in_chunks, self._in_log = in_chunks, {"request_id": request_id}
        self.done = self.failed = self._closed = False

    def first(self) -> list[bytes]:
        """Return the first piece as it is sent. Raises what the app raises, so that an error can still be answered."""
        try:
            return self._next()
        except BaseException:
            self.failed = True
            self.close()
            raise

    def take(self) -> list[bytes]:
        """Return the next piece as it is sent, or the end; nothing where the app fails, which is logged."""
        try:
            return self._next()
        except Exception as error:
            log.error("An answer broke off", exc_info=error, extra=self._in_log)
            self.failed = True
            self.close()
            return []

    def _next(self) -> list[bytes]:
        piece = next(self._pieces, None)
        if piece is None:
            self.done = True
            self.close()
            return [_LAST_CHUNK] if self.in_chunks else []
        if not isinstance(piece, bytes):
            raise TypeError("a body consists of bytes")
        return [b"%x\r\n" % len(piece), piece, b"\r\n"] if self.in_chunks and piece else [piece]

    def close(self) -> None:
        """Have the app give up what the body holds, whatever of it is left."""
        if self._closed:
            return
        self._closed = True
        if not (self.done or self.failed):
            log.info("An answer was not taken to its end", extra=self._in_log)
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        except Exception as error:
            log.error("An answer failed as it was closed", exc_info=error, extra=self._in_log)
