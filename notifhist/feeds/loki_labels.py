"""The labels of a Loki stream, in the text in which a push writes them: `{from="a", grafana="g1"}`.

Values are string literals of Go in double quotes (https://go.dev/ref/spec#String_literals), as `strconv.Quote` writes
them.
"""

import re

_HEX = "[0-9a-fA-F]"
_ESCAPE = rf'\\(?:[abfnrtv\\"]|x{_HEX}{{2}}|[0-3][0-7]{{2}}|u{_HEX}{{4}}|U00{_HEX}{{6}})'
_QUOTED = rf'"(?:[^"\\\n]|{_ESCAPE})*+"'
_LABEL = re.compile(rf"\s*+([^\W\d][\w.:/-]*+|{_QUOTED})\s*+=\s*+({_QUOTED})\s*+")
_ESCAPED = re.compile(_ESCAPE.encode())
_LETTERS = dict(zip(b'abfnrtv\\"', b'\a\b\f\n\r\t\v\\"', strict=True))
_BRACES = re.compile(r"\s*\{(.*)\}\s*", re.DOTALL)


def parse_labels(text: str) -> dict[str, str]:
    """Return the labels of a stream by name. Raises ValueError for what is no such text."""
    if not (inside := _BRACES.fullmatch(text)):
        raise ValueError("Labels stand in braces.")
    labels: dict[str, str] = {}
    rest = inside[1]
    start = 0
    while label := _LABEL.match(rest, start):
        name = unquote(label[1]) if label[1].startswith('"') else label[1]
        labels[name] = unquote(label[2])
        start = label.end()
        if not rest.startswith(",", start):
            break
        start += 1
    if rest[start:].strip():
        raise ValueError("A label is a name, an equals sign and a quoted value.")
    return labels


def unquote(quoted: str) -> str:
    r"""Return the text of a literal in double quotes; bytes (`\xff`) that are no UTF-8 become U+FFFD.

    Raises ValueError for an escaped code point that is none.
    """
    return _ESCAPED.sub(_unescape, quoted[1:-1].encode()).decode(errors="replace")


def _unescape(escape: re.Match[bytes]) -> bytes:
    letter, digits = escape[0][1], escape[0][2:]
    if letter in _LETTERS:
        return bytes([_LETTERS[letter]])
    if letter == ord("x"):
        return bytes.fromhex(digits.decode())
    if letter in b"uU":
        return chr(int(digits, 16)).encode()
    return bytes([int(escape[0][1:], 8)])
