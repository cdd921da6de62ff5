"""The content coding of a body (RFC 9110, 8.4): a packed body is unpacked, up to the size that is read."""

import zlib

from notifhist.errors import BadRequest, UnsupportedMediaType
from notifhist.serializers.bodies import ExpectedBody

_GZIP_BITS, _ZLIB_BITS = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
_CODINGS = {"": None, "identity": None, "gzip": _GZIP_BITS, "x-gzip": _GZIP_BITS, "deflate": _ZLIB_BITS}
"""What each coding says to zlib; None: the body is as it is."""
ACCEPT_ENCODING = "gzip, deflate"
_SLICE_BYTES = 65_536  # what is left of a slice behind a member is copied
_MAX_MEMBERS = 1000
"""The most members of a gzip stream (RFC 1952, 2.2): a body may hold 800,000 empty ones, and each takes 7 µs."""
_ZLIB_METHOD, _ZLIB_CHECK = 8, 31


def unpack(data: bytes, coding: str | None, expected: ExpectedBody) -> bytes:
    """Return a body as it was before `coding`, the Content-Encoding header, was applied.

    Never holds more than the largest expected body. Raises UnsupportedMediaType for another coding or several,
    RequestTooLarge for what unpacks to more than is read, and BadRequest for what cannot be unpacked.
    """
    name = (coding or "").strip().lower()
    if name not in _CODINGS:
        raise UnsupportedMediaType(
            f"The body's Content-Encoding is none that is read here: send it as it is, or in one of {ACCEPT_ENCODING}.",
            headers={"Accept-Encoding": ACCEPT_ENCODING},
        )
    bits = _CODINGS[name]
    if bits is None or not data:
        return data
    if bits == _ZLIB_BITS and not _has_zlib_header(data):
        bits = -zlib.MAX_WBITS
    try:
        return _inflate(data, bits, expected)
    except zlib.error:
        raise BadRequest(f"The body cannot be unpacked: it is not {name}.") from None


def _has_zlib_header(data: bytes) -> bool:
    """Say whether `data` is `deflate` as RFC 9110, 8.4.1.2, means it; many clients leave out zlib's header."""
    return data[0] & 0x0F == _ZLIB_METHOD and int.from_bytes(data[:2], "big") % _ZLIB_CHECK == 0


def _inflate(data: bytes, bits: int, expected: ExpectedBody) -> bytes:
    stream, members, left = zlib.decompressobj(bits), 1, expected.largest_bytes
    unpacked = []
    for start in range(0, len(data), _SLICE_BYTES):
        packed = data[start : start + _SLICE_BYTES]
        while packed:
            if stream.eof:
                members += 1
                if bits != _GZIP_BITS or members > _MAX_MEMBERS:
                    raise BadRequest("The body cannot be unpacked: it goes on behind its end.")
                stream = zlib.decompressobj(bits)
            unpacked.append(stream.decompress(packed, left + 1))
            left -= len(unpacked[-1])
            if left < 0:
                raise expected.too_large()
            packed = stream.unused_data
    if not stream.eof:
        raise BadRequest("The body cannot be unpacked: it is cut off.")
    return b"".join(unpacked)
