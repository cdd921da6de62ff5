import pytest

from notifhist.serializers.negotiation import choose, media_type_of
from tests.cpu import cpu_ms

JSON, XML, TEXT = "application/json", "application/xml", "text/xml"
OFFERS = (JSON, XML, TEXT)

CASES: dict[str, tuple[str | None, str | None]] = {
    # nothing asked for
    "absent": (None, JSON),
    "empty": ("", JSON),
    "blank": ("  ", JSON),
    "only commas": (" , ,, ", JSON),
    # one range
    "JSON": (JSON, JSON),
    "XML": (XML, XML),
    "text/xml": (TEXT, TEXT),
    "anything": ("*/*", JSON),
    "any application": ("application/*", JSON),
    "any text": ("text/*", TEXT),
    "HTML": ("text/html", None),
    "any image": ("image/*", None),
    "other JSON": ("application/problem+json", None),
    "a prefix of a type": ("application/js", None),
    "an extension of a type": ("application/json5", None),
    "any case": ("Application/XML", XML),
    "blanks around": ("  application/xml  ", XML),
    "a tab around": ("\tapplication/xml\t", XML),
    # quality
    "higher quality wins": ("application/json;q=0.5, application/xml;q=0.8", XML),
    "order does not count": ("application/xml;q=0.8, application/json;q=0.5", XML),
    "no quality is 1": ("application/json;q=0.9, application/xml", XML),
    "three digits": ("application/json;q=0.998, application/xml;q=0.999", XML),
    "1.000": ("application/json;q=0.999, application/xml;q=1.000", XML),
    "0. and 1.": ("application/json;q=0., application/xml;q=1.", XML),
    "0.001 is enough": ("application/xml;q=0.001", XML),
    "upper-case Q": ("application/json;Q=0.1, application/xml;Q=0.2", XML),
    "blanks around the semicolon": ("application/json ; q=0.1, application/xml ; \tq=0.2", XML),
    "equal quality is JSON": ("application/xml, application/json", JSON),
    "equal quality among all is JSON": ("text/xml, application/xml, application/json", JSON),
    "equal quality of the XMLs": ("text/xml, application/xml", XML),
    "equal quality, both less": ("application/xml;q=.7, application/json;q=0.7", JSON),
    # q=0
    "q=0": ("application/json;q=0", None),
    "q=0.000": ("application/json;q=0.000", None),
    "q=0 of JSON, anything else": ("application/json;q=0, */*", XML),
    "q=0 of JSON and XML, anything else": ("application/json;q=0, application/xml;q=0, */*", TEXT),
    "q=0 of a type's half": ("application/*;q=0, */*", TEXT),
    "q=0 of all but one": ("*/*;q=0, application/xml", XML),
    "q=0 of all": ("*/*;q=0", None),
    "q=0 of each": ("application/json;q=0, application/xml;q=0, text/xml;q=0", None),
    "the more specific says no": ("application/xml;q=0, application/*;q=1", JSON),
    # specificity: the closest range tells the quality, before qualities are compared
    "closest range counts, lower": ("application/json;q=0.1, */*;q=0.5", XML),
    "closest range counts, type's half": ("application/*;q=0.2, */*;q=0.5", TEXT),
    "closest range counts, three levels": ("text/*;q=0.3, text/xml;q=0.9, */*;q=0.8", TEXT),
    "named beats wildcard": ("application/xml, */*", XML),
    "named beats wildcard, other order": ("*/*, application/xml", XML),
    "half named beats wildcard": ("text/*, */*", TEXT),
    "named beats half named": ("application/*, text/xml", TEXT),
    "JSON named": ("*/*, application/json", JSON),
    "wildcard of higher quality": ("application/xml;q=0.9, */*", JSON),
    "named twice, the better counts": ("application/xml;q=0.2, application/json;q=0.5, application/xml", XML),
    # several lines arrive joined by a comma
    "two lines": ("text/html,application/xml", XML),
    "two lines, one empty": (",application/xml", XML),
    "two lines, both with qualities": ("application/json;q=0.3,application/xml;q=0.7,text/html", XML),
    # parameters
    "charset": ("application/xml; charset=utf-8", XML),
    "charset and quality": ("application/json;q=0.4, application/xml;charset=utf-8;q=0.5", XML),
    "something behind the quality": ("application/json;q=0.4;ext=1, application/xml;q=0.5;level=2", XML),
    "an empty parameter": ("application/xml;;q=1", XML),
    "a semicolon at the end": ("application/xml;", XML),
    "no value of a parameter": ("application/json;q=0.5, application/xml; charset=", XML),
    "a parameter's name alone": ("application/json;q=0.5, application/xml; charset; q=0.9", XML),
    "a parameter without a value is none": ("application/xml;v=1;q=0.9, application/xml;v=;q=0, */*;q=0.1", JSON),
    "a quoted value": ('application/xml; profile="x"', XML),
    "a comma in quotes": ('application/xml; profile="a, application/json", text/html', XML),
    "a semicolon in quotes": ('application/json;q=0.1, application/xml; profile="a;q=0"', XML),
    "a quote in quotes": ('application/json;q=0.1, application/xml; profile="a\\", b"', XML),
    "a parameter called quality": ("application/xml; quality=0", XML),
    # what browsers and libraries send
    "Java": ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", JSON),
    "Java's bare star": ("*; q=.2", JSON),
    "Firefox": ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", XML),
    "Chrome": (
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
        "application/signed-exchange;v=b3;q=0.7",
        XML,
    ),
    "axios": ("application/json, text/plain, */*", JSON),
    "an XML library": ("text/xml, application/xml;q=0.9, */*;q=0.1", TEXT),
    "the published client": (JSON, JSON),
    # malformed parts count as absent
    "quality above 1": ("application/json;q=1.1, application/xml;q=0.1", XML),
    "quality of 2": ("application/json;q=2, application/xml;q=0.1", XML),
    "negative quality": ("application/json;q=-1, application/xml;q=0.1", XML),
    "no number": ("application/json;q=high, application/xml;q=0.1", XML),
    "nan": ("application/json;q=nan, application/xml;q=0.1", XML),
    "1e0": ("application/json;q=1e0, application/xml;q=0.1", XML),
    "other digits": ("application/json;q=٠.٩, application/xml;q=0.1", XML),
    "no value": ("application/json;q=, application/xml;q=0.1", XML),
    "no value, and none but that": ("application/json;q, application/xml;q=0.1", XML),
    "a dot": ("application/json;q=., application/xml;q=0.1", XML),
    "no slash": ("application, application/xml;q=0.1", XML),
    "no subtype": ("application/, application/xml;q=0.1", XML),
    "no type": ("/json, application/xml;q=0.1", XML),
    "two slashes": ("application/json/x, application/xml;q=0.1", XML),
    "a star before a name": ("*/json, application/xml;q=0.1", XML),
    "a blank inside": ("application / json, application/xml;q=0.1", XML),
    "a blank after": ("application/json x, application/xml;q=0.1", XML),
    "all malformed": ("json; xml", JSON),
    "a quote that the header ends in takes all behind it": (
        'application/xml;q=0.5, text/html; a="b, application/json',
        XML,
    ),
    "an unfinished quote": ('text/html, application/xml;q=0.5, text/plain; a="', XML),
}


@pytest.mark.parametrize(("accept", "expected"), CASES.values(), ids=CASES.keys())
def test_the_format_that_a_client_wants_most_is_chosen(accept: str | None, expected: str | None) -> None:
    assert choose(accept, OFFERS) == expected


def test_a_range_with_parameters_counts_where_the_plain_one_is_not_named() -> None:
    assert choose("application/json;q=0.5, application/xml;v=1;q=0.9", OFFERS) == XML
    assert choose("application/json;q=0.5, application/xml;v=1;q=0.9, application/xml;q=0.1", OFFERS) == JSON


def test_it_does_not_take_long_for_a_header_made_to_take_long() -> None:
    assert choose("a/b;" * 20_000 + "x, application/xml", OFFERS) == XML
    assert choose('"' * 20_000 + ", application/xml", OFFERS) in OFFERS
    assert choose('application/xml;a="' + "\\" * 20_000, OFFERS) in OFFERS


LONGEST_FIELD = 8190
REPEATED = {
    "escaped quotes": '\\"',
    "escaped quotes in parts": '\\",',
    "quotes": '"',
    "unfinished quotes in parameters": ';a="',
    "parameters": ";a=b",
    "parameters without values": ";a=",
    "names of parameters": ";a",
    "blanks": " ",
    "semicolons": "; ",
    "ranges": "a/b,",
    "ranges that fit": "*/*;q=0.1,",
}


@pytest.mark.parametrize("first", ['"', "a/b", "a/b;q="])
@pytest.mark.parametrize("repeated", REPEATED.values(), ids=REPEATED.keys())
def test_the_longest_field_takes_a_few_ms_whatever_it_holds(first: str, repeated: str) -> None:
    header = (first + repeated * LONGEST_FIELD)[:LONGEST_FIELD]
    # 2.5 ms at most on a slow machine; escaped quotes once took 420.
    assert cpu_ms(lambda: choose(header, OFFERS)) < 50
    assert cpu_ms(lambda: media_type_of(header, OFFERS)) < 50


def test_parts_after_the_first_hundred_count_as_absent() -> None:
    assert choose("a/b," * 99 + XML, OFFERS) == XML
    assert choose("a/b," * 100 + XML, OFFERS) is None


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (JSON, JSON),
        (XML, XML),
        (TEXT, TEXT),
        ("APPLICATION/JSON", JSON),
        ("application/json; charset=utf-8", JSON),
        ("application/json;charset=UTF-8", JSON),
        ("  application/json  ", JSON),
        ('application/xml; charset="utf-8"', XML),
        ("text/xml;", TEXT),
        ("text/xml; charset=", TEXT),
        ("text/xml; charset=;", TEXT),
        ("text/xml; charset", TEXT),
        ('text/xml; charset=""; a=b', TEXT),
        ("text/xml; charset= utf-8", None),
        ("application/json; application/xml", None),
        (None, None),
        ("", None),
        ("json", None),
        ("text/plain", None),
        ("text/html", None),
        ("application/x-www-form-urlencoded", None),
        ("application/problem+json", None),
        ("application/jsonx", None),
        ("*/*", None),
        ("application/*", None),
        ("*", None),
        ("application/json, application/xml", None),
        ("application/json application/xml", None),
        ("application/", None),
    ],
)
def test_a_content_type_names_one_format(content_type: str | None, expected: str | None) -> None:
    assert media_type_of(content_type, OFFERS) == expected
