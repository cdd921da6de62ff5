"""Names as ids in paths."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifhist.run.ids import path_id
from notifhist.schemas.fields import is_path_id

LONG = "disk " * 60


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("db3.example.net:9100", "db3.example.net:9100"),
        ("http://db3/health", "http:∕∕db3∕health"),
        ("a\tb\x85", "a\ufffdb\ufffd"),
        ("", "-"),
        (".", "-."),
        ("..", "-.."),
        ("...", "..."),
        ("x" * 255, "x" * 255),
        (LONG, f"{LONG[:238]}~{hashlib.sha256(LONG.encode()).hexdigest()[:16]}"),
        ("\N{NO-BREAK SPACE}", "\N{NO-BREAK SPACE}"),
    ],
)
def test_names(name: str, expected: str) -> None:
    assert path_id(name) == expected


@given(st.text(alphabet=st.characters()) | st.text(min_size=250, max_size=600))
def test_any_name_becomes_an_id_that_stays_as_it_is(name: str) -> None:
    assert is_path_id(path_id(name))
    assert path_id(path_id(name)) == path_id(name)
    assert not is_path_id(name) or name in (".", "..") or path_id(name) == name
