import pytest

from notifhist.schemas.numbers import is_integer, parse_whole


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("-0", 0), ("00", 0), ("9" * 4000, int("9" * 4000)), ("-12", -12)]
)
def test_an_integer_is_written_in_ascii_digits(text: str, number: int) -> None:
    assert is_integer(text)
    assert int(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5),
        ("-5.0", -5),
        ("1.795727e12", 1_795_727_000_000),
        ("1.795727E+12", 1_795_727_000_000),
        ("50e-1", 5),
        ("-0.0", 0),
        ("9223372036854775807.0", 2**63 - 1),
        ("9.223372036854775807e18", 2**63 - 1),
    ],
)
def test_an_integer_may_be_written_as_a_number_without_fraction(text: str, number: int) -> None:
    assert parse_whole(text) == number


@pytest.mark.parametrize(
    "text", ["", "5.5", "5.", ".5", "1e-1", "1e", "e5", "+5", "5 ", "0x5", "1_0", "٥", "NaN", "1e999", "1" * 5000]
)
def test_what_has_a_fraction_or_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Not a valid integer"):
        parse_whole(text)
