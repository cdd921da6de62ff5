"""Texts as Go writes them in source: the reference that the parser of labels is tested against."""

from collections.abc import Callable, Mapping

_SHORT = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}
_MUST = {"\\": r"\\", '"': r"\""}
_MAX_16_BITS, _DELETE = 0xFFFF, 0x7F


def go_quote(text: str) -> str:
    """Return `text` as `strconv.Quote` of Go writes it."""
    return f'"{"".join(map(_quoted, text))}"'


def _quoted(character: str) -> str:
    known = {**_SHORT, **_MUST}.get(character)
    if known is not None:
        return known
    if character.isprintable():
        return character
    code = ord(character)
    if code < ord(" ") or code == _DELETE:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _MAX_16_BITS else f"\\U{code:08x}"


ESCAPES: tuple[Callable[[str], str], ...] = (
    _quoted,
    lambda character: "".join(f"\\x{byte:02X}" for byte in character.encode()),
    lambda character: "".join(f"\\{byte:03o}" for byte in character.encode()),
    lambda character: f"\\U{ord(character):08X}",
)
"""The ways in which a literal of Go may write a character."""


def labels_text(labels: Mapping[str, str], quote: Callable[[str], str] = go_quote) -> str:
    """Return labels as a push in protobuf has them: sorted by name."""
    return f"{{{', '.join(f'{name}={quote(labels[name])}' for name in sorted(labels))}}}"
