"""Pages read in pieces: whatever the lengths of their records, they are whole or refused, and never long in memory."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifhist.errors import AnswerTooLong
from notifhist.store import pieces
from notifhist.store.pieces import Piece, read_pieces

MAX = 100
LENGTHS = st.lists(st.integers(2, 12) | st.integers(2, 150), max_size=40)


class Records:
    """Records of these lengths, read as SQLite reads them, or as PostgreSQL does: by equal shares."""

    def __init__(self, lengths: Sequence[int], by_shares: bool) -> None:
        self.lengths, self.by_shares = lengths, by_shares
        self.count = self.calls = 0
        self.held: list[tuple[int, int]] = []
        """How many records each piece has, and how many bytes."""

    def read(self, number: int, max_bytes: int | None) -> Piece | None:
        self.calls += 1
        some = self.lengths[self.count : self.count + number]
        if max_bytes is not None:
            longest = max(some, default=0) * number if self.by_shares else sum(some)
            if longest > max_bytes:
                return None
        self.held.append((len(some), sum(some)))
        self.count += len(some)
        return b"x" * sum(some), len(some), self.count == len(self.lengths)


@given(LENGTHS, st.integers(1, 50), st.integers(1, 20), st.booleans())
def test_a_page_is_whole_if_it_is_short_enough_and_refused_if_not(
    lengths: list[int], limit: int, at_once: int, by_shares: bool
) -> None:
    records, page = Records(lengths, by_shares), lengths[:limit]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "MAX_PAGE_BYTES", MAX)
        try:
            texts, count = read_pieces(limit, at_once, records.read)
        except AnswerTooLong:
            assert sum(page) > MAX
            assert len(page) > 1
        else:
            assert sum(page) <= MAX or len(page) == 1
            assert (count, sum(map(len, texts))) == (len(page), sum(page))
    assert sum(size for _, size in records.held) <= MAX or records.held[0][0] == 1
    assert records.calls <= 4 * (len(page) + 2)


def test_one_long_record_does_not_make_the_other_pieces_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MAX_PAGE_BYTES", 10_000)
    records = Records([1] * 500 + [5000] + [1] * 499, by_shares=True)
    assert read_pieces(1000, 250, records.read)[1] == 1000
    assert records.calls < 30
