"""A page is read in pieces: the database joins the texts of a piece, and has each of them in memory several times.

Contract: docs/contract.md, "Faults", on pages that are too long.
"""

from collections.abc import Callable

from notifhist.errors import AnswerTooLong
from notifhist.serializers.stored import MAX_PAGE_BYTES

_FEWER = 8
"""By how much a piece is smaller than the one before it, if that was too long."""


Piece = tuple[bytes, int, bool]
"""The texts of some records, joined; how many they are; and whether no record follows them."""


def read_pieces(limit: int, at_once: int, read: Callable[[int, int | None], Piece | None]) -> tuple[list[bytes], int]:
    """Return the texts of a page of up to `limit` records, in pieces of up to `at_once`; and how many records it has.

    `read` returns the next piece, of up to so many records; None where it may be longer than so many bytes, which is
    found before it is in memory (None: it may have any length). Raises AnswerTooLong for a page of more than
    MAX_PAGE_BYTES; one record alone is always answered.
    """
    texts: list[bytes] = []
    count = size = 0
    number = at_once
    while count < limit:
        number = min(number, limit - count)
        is_alone = number == 1 and not count
        piece = read(number, None if is_alone else MAX_PAGE_BYTES - size)
        if piece is None:
            if number == 1:
                raise AnswerTooLong(MAX_PAGE_BYTES)
            number = max(number // _FEWER, 1)
            continue
        text, found, is_last = piece
        if found:
            texts.append(text)
        count, size = count + found, size + len(text)
        if is_last:
            break
        if size >= MAX_PAGE_BYTES and count < limit:
            raise AnswerTooLong(MAX_PAGE_BYTES)
        number = min(number * _FEWER, at_once)
    return texts, count
