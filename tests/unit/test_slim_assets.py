"""Scripts and stylesheets mean the same once they are made short: a lexer that is not ours finds the same words."""

from collections.abc import Iterator
from importlib.resources import files

import pytest
from pygments.lexers import CssLexer, JavascriptLexer
from pygments.token import Comment, String

from notifhist.web.pages.assets import slim

STATIC = files("notifhist.web.pages").joinpath("static")
LEXERS = {"js": JavascriptLexer, "css": CssLexer}
SOURCES = [each.name for each in STATIC.iterdir() if each.name.rpartition(".")[2] in LEXERS]
ENDS = (";", "{", "}", "(", ",", "[", ":", "?", "|", "&", "=", ">")
"""What a line of a script may end with: behind another end, JavaScript might see the end of a statement."""


def words(text: bytes, kind: str) -> Iterator[str]:
    """Yield the words of a source; those of a string with its blanks."""
    for token, word in LEXERS[kind](ensurenl=False, stripnl=False).get_tokens(text.decode()):
        if token in Comment and not word.startswith("#"):
            continue
        yield from [word] if token in String else word.split()


def is_kept(text: bytes, kind: str) -> bool:
    """Say whether a source means the same once it is short, as far as its words tell."""
    return [*words(text, kind)] == [*words(slim(kind, text), kind)]


def unended(text: str) -> list[str]:
    """Return the lines of a script after which a statement might end without a semicolon."""
    code = [line.rstrip() for line in _without_comments(text).splitlines() if line.strip()]
    return [
        line
        for line, following in zip(code, [*code[1:], ""], strict=True)
        if not line.endswith(ENDS) and not following.strip().startswith((")", "]", "}", ".", "?", ":", "&", "|"))
    ]


def _without_comments(text: str) -> str:
    tokens = JavascriptLexer(ensurenl=False, stripnl=False).get_tokens(text)
    return "".join("\n" * word.count("\n") if token in Comment else word for token, word in tokens)


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_means_the_same_once_it_is_short(name: str) -> None:
    text, kind = STATIC.joinpath(name).read_bytes(), name.rpartition(".")[2]
    assert [*words(slim(kind, text), kind)] == [*words(text, kind)]
    assert len(slim(kind, text)) < len(text)
    if kind == "js":
        assert unended(text.decode()) == []


@pytest.mark.parametrize(
    ("kind", "text", "short"),
    [
        ("js", b"a = 'http://x , y' ; // b\nc = \"d : e\";", b"a='http://x , y';c=\"d : e\";"),
        ("js", b"/* it's */ say ( `a , ${b} //` );", b"say(`a , ${b} //`);"),
        ("css", b'a::after { content: "a, b : { c" ; }', b'a::after{content:"a, b : { c";}'),
        ("css", b"/* x */ a /* , */ b , c > d { margin: 0 1px; }", b"a b ,c>d{margin:0 1px;}"),
        ("css", b"a :hover { content: '/* a  b */'; }", b"a :hover{content:'/* a  b */';}"),
    ],
)
def test_strings_are_kept(kind: str, text: bytes, short: bytes) -> None:
    assert slim(kind, text) == short
    assert is_kept(text, kind)


@pytest.mark.parametrize(
    "text", [b"a = b - -c;", b"a = b + +c;", b"a = / [\"] x : /.test(b, ' , ');", b"a = b.match(/ : x/);"]
)
def test_a_script_that_would_mean_something_else_is_found(text: bytes) -> None:
    assert not is_kept(text, "js")


def test_a_statement_without_a_semicolon_is_found() -> None:
    assert unended("a = b // c\nd();\n") == ["a = b"]
    assert unended("f(\n  a,\n  b\n);\n") == []
