import re
from xml.parsers import expat

import pytest
from lxml import etree

from notifhist.serializers.xml_characters import NAME

BEGINNINGS = [*range(0x21, 0xD800), *range(0xE000, 0xFFFE), *range(0x1_0000, 0x11_0000, 0x101)]
"""What names could begin with: of the code points beyond U+FFFF one of each 257."""


def is_taken(name: str) -> bool:
    """Say whether expat, which knows the fourth edition of XML 1.0 alone, takes `name` for an element."""
    try:
        expat.ParserCreate().Parse(f"<{name}/>".encode(), True)
    except expat.ExpatError:
        return False
    return re.search("[:/>\\s]", name) is None


def is_taken_by_libxml2(name: str) -> bool:
    """Say whether libxml2, which knows the fifth edition, takes `name` for an element."""
    try:
        return etree.fromstring(f"<{name}/>".encode()).tag == name
    except etree.XMLSyntaxError:
        return False


def names() -> list[str]:
    """Return a name for each code point at the beginning, and for each in its midst."""
    return [name for each in BEGINNINGS for name in (chr(each), f"a{chr(each)}b")]


def test_a_name_is_what_expat_takes_for_one() -> None:
    assert [ascii(name) for name in names() if bool(NAME.fullmatch(name)) != is_taken(name)] == []


def test_every_name_is_one_of_the_fifth_edition_too() -> None:
    taken = [name for name in names() if NAME.fullmatch(name)]
    assert len(taken) > 60_000
    assert [ascii(name) for name in taken if not is_taken_by_libxml2(name)] == []


@pytest.mark.parametrize("name", ["foo🙂", "\u0530", "a\u200d", "𝑥", "ꙁ", "ᏸ", "ↄ", "⿰"])
def test_a_name_of_the_fifth_edition_only_is_none(name: str) -> None:
    assert NAME.fullmatch(name) is None
