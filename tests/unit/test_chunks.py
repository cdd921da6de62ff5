import itertools

import pytest
from gunicorn.http.errors import ParseException
from hypothesis import given
from hypothesis import strategies as st

from notifhist.server.chunks import LINE_BYTES, TRAILER_BYTES, Chunks
from tests.cpu import cpu_ms

BODIES = st.lists(st.binary(min_size=1, max_size=40), max_size=8)
EXTENSIONS = st.sampled_from([b"", b";a", b" ; a=b", b';a="x;\\"y"', b"\t;a = b;c"])
TRAILERS = st.sampled_from([b"", b"X: y\r\n", b"X: y\r\nZ: \r\n"])


def decoded(wire: bytes, cuts: list[int]) -> tuple[bytes, bytes, bool]:
    """Return the body, what follows it, and whether it ended, of bytes that arrive in pieces."""
    chunks, buffer, body = Chunks(), bytearray(), b""
    for start, end in itertools.pairwise([0, *sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]):
        buffer += wire[start:end]
        body += chunks.feed(buffer)
    return body, bytes(buffer), chunks.done


@given(BODIES, EXTENSIONS, TRAILERS, st.lists(st.integers(0, 1000), max_size=30), st.booleans())
def test_a_body_is_the_same_however_it_is_cut(
    pieces: list[bytes], extension: bytes, trailer: bytes, cuts: list[int], upper: bool
) -> None:
    sizes = [b"%X" % len(piece) if upper else b"0%x" % len(piece) for piece in pieces]
    framed = [size + extension + b"\r\n" + piece + b"\r\n" for size, piece in zip(sizes, pieces, strict=True)]
    wire = b"".join(framed) + b"0\r\n" + trailer + b"\r\n" + b"GET / HTTP/1.1\r\n"
    assert decoded(wire, cuts) == (b"".join(pieces), b"GET / HTTP/1.1\r\n", True)


BAD = {
    "no size": b"\r\nabc\r\n",
    "no hexadecimal size": b"ZZ\r\nabc\r\n",
    "a sign": b"+3\r\nabc\r\n",
    "a blank before the size": b" 3\r\nabc\r\n",
    "an underscore": b"1_0\r\n" + b"a" * 16 + b"\r\n",
    "a prefix": b"0x3\r\nabc\r\n",
    "a size that no number holds": b"f" * 17 + b"\r\n",
    "more than the size": b"3\r\nabcd\r\n",
    "a bare line feed behind the size": b"3\nabc\r\n0\r\n\r\n",
    "a bare line feed behind the chunk": b"3\r\nabc\n0\r\n\r\n",
    "no extension behind the semicolon": b"3;\r\nabc\r\n",
    "a carriage return in an extension": b"3;a\rb\r\nabc\r\n",
    "an endless size line": b"3;" + b"a" * (LINE_BYTES + 10),
    "an endless trailer": b"0\r\n" + b"X: y\r\n" * (TRAILER_BYTES // 4 + 10),
    "a bare line feed in the trailer": b"0\r\nX: y\nZ: z\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("step", [1, 7, 1 << 20], ids=["byte by byte", "in sevens", "at once"])
def test_what_is_no_chunk_is_refused(name: str, step: int) -> None:
    with pytest.raises(ParseException):
        decoded(BAD[name], list(range(0, len(BAD[name]), step)) if len(BAD[name]) < 1000 else [])


def test_a_body_that_is_not_over_is_not_done() -> None:
    for wire in (
        b"",
        b"3",
        b"3\r\n",
        b"3\r\nab",
        b"3\r\nabc",
        b"3\r\nabc\r",
        b"3\r\nabc\r\n",
        b"0\r\n",
        b"0\r\nX: y\r\n",
    ):
        assert decoded(wire, [])[2] is False


def test_chunks_of_one_byte_cost_what_their_bytes_cost_however_many_arrive_at_once() -> None:
    wire = b"1\r\nx\r\n" * 50_000
    pieces = [wire[start : start + 4096] for start in range(0, len(wire), 4096)]

    def feed(*arrived: bytes) -> None:
        chunks, buffer, decoded = Chunks(), bytearray(), 0
        for piece in arrived:
            buffer += piece
            decoded += len(chunks.feed(buffer))
        assert decoded == 50_000

    assert cpu_ms(lambda: feed(wire)) < 4 * cpu_ms(lambda: feed(*pieces))
