import pytest

from notifhist.schemas.numbers import parse_integer


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("-0", 0), ("00", 0), ("9" * 4000, int("9" * 4000)), ("-12", -12)]
)
def test_an_integer_is_written_in_ascii_digits(text: str, number: int) -> None:
    assert parse_integer(text) == number
