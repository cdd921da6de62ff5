"""The charset of a body, where Content-Type names one.

For XML (RFC 7303, 3.2) a byte order mark comes first, then Content-Type, then the declaration. JSON is UTF-8 whatever
is named (RFC 8259, 8.1), so the name counts only where the body is not UTF-8: old clients do write Latin-1.
"""

import codecs
import re

from notifhist.errors import BadRequest, UnsupportedMediaType

_PARAMETER = re.compile(r""";[ \t]*([\w-]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"?|[^;"]*)""", re.ASCII)
"""A parameter's name and value; a quoted string that is not closed ends with the header."""
_NAME = re.compile(r"""["']?([\w.:-]{1,40})""", re.ASCII)
_UTF_8 = ("utf-8", "utf8", "us-ascii", "ascii")  # ASCII is a part of UTF-8
_WIDE = re.compile("utf-?(16|32)-?(le|be)?")
# Python would import a module for each name, keep it in mind for ever, and knows codecs that are no charsets.
_KNOWN = re.compile(
    r"iso-?8859-\d{1,2}|latin-?\d|(windows-|cp)125\d|koi8-[ru]|big5|gb2312|gbk|gb18030|euc-(jp|kr)|shift-jis"
)
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
"""Byte order marks; that of UTF-32-LE begins like that of UTF-16-LE."""


def charset_of(content_type: str | None) -> str | None:
    """Return the charset that a Content-Type header names, in lower case; None if it names none."""
    for parameter in _PARAMETER.finditer(content_type or ""):
        if parameter[1].lower() == "charset" and (name := _NAME.match(parameter[2])):
            return name[1].lower().replace("_", "-")
    return None


def xml_as_utf8(body: bytes, charset: str) -> bytes:
    """Return an XML body, which Content-Type says is in `charset`, in UTF-8 with a byte order mark.

    The mark makes the parser ignore the declaration; a body that has one is returned as it is. Raises
    UnsupportedMediaType for a charset that is not known, BadRequest for a body that is not of it.
    """
    return body if body.startswith(_MARKS) else codecs.BOM_UTF8 + _as_utf8(body, charset)


def json_as_utf8(body: bytes, charset: str) -> bytes:
    """Return a JSON body in UTF-8: as it is, if it is that, else read as `charset`. Raises the same errors."""
    return body if charset in _UTF_8 or _is_utf8(body) else _as_utf8(body, charset)


def _is_utf8(body: bytes) -> bool:
    """Say whether a JSON body is UTF-8. UTF-16 may be, too, but has zeros, which JSON has not."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in body


def _as_utf8(body: bytes, charset: str) -> bytes:
    if charset in _UTF_8:
        return body
    codec = charset if _KNOWN.fullmatch(charset) else "unknown"  # no codec has this name
    if wide := _WIDE.fullmatch(charset):  # both formats begin with a character of ASCII, perhaps behind a mark
        order = "be" if body.startswith((b"\0", b"\xfe")) else "le"
        codec = f"utf-{wide[1]}-{wide[2] or order}"
    try:
        return body.decode(codec).encode()
    except LookupError:
        raise UnsupportedMediaType("The body's charset is none that is read here: send UTF-8.") from None
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not {charset}.", f"Byte {error.start}: {error.reason}.") from None
