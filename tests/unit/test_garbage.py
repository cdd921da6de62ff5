"""While files are loaded, Python looks for garbage more rarely; afterwards it looks as it did before."""

import gc

import pytest

from notifhist.transfer.garbage import rarely_looking


def test_it_looks_more_rarely_in_the_block_and_as_before_afterwards() -> None:
    before = gc.get_threshold()
    seen = []

    def load_what_fails() -> None:
        with rarely_looking():
            seen.append(gc.get_threshold())
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - it has no text
        load_what_fails()
    assert seen[0][0] > before[0]
    assert seen[0][1:] == before[1:]
    assert gc.get_threshold() == before
