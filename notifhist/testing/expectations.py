"""What an answer is compared with, and expected files that are written anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from notifhist.testing.answers import Answer
from notifhist.testing.differences import json_difference, xml_difference
from notifhist.testing.files import Files, is_file_name

URL = "{url}"
"""In the place of the service's URL, whose port is another one each time."""


@dataclass(frozen=True)
class Form:
    """A format of answers: how to read one, to read a dict that is expected, to compare, and to write a file."""

    name: str
    accept: str
    read: Callable[[str], Any]
    read_dict: Callable[[str, Any], Any]
    """From a path and a JSON value."""
    difference: Callable[[Any, Any], str | None]
    write: Callable[[Any], str]


def _read_xml(text: str) -> Any:
    from lxml import etree

    return etree.fromstring(text.encode(), etree.XMLParser(resolve_entities=False))


def _rendered(path: str, document: Any) -> Any:
    from notifhist.testing.rendering import render_xml

    return _read_xml(render_xml(path, document))


def _write_xml(element: Any) -> str:
    from lxml import etree

    etree.indent(element)
    written: bytes = etree.tostring(element, encoding="utf-8", xml_declaration=True)
    return f"{written.decode()}\n"


JSON = Form(
    "JSON",
    "application/json",
    json.loads,
    lambda _, document: document,
    json_difference,
    lambda document: json.dumps(document, indent=2, ensure_ascii=False) + "\n",
)
XML = Form("XML", "application/xml", _read_xml, _rendered, xml_difference, _write_xml)


def check(path: str, answer: Answer, expected: Any, form: Form, url: str, files: Files) -> None:
    """Raise AssertionError with the first difference of an answer, or where its expected file is written anew."""
    __tracebackhide__ = True
    try:
        actual = form.read(answer.body.decode().replace(url, URL))
    except (ValueError, SyntaxError):  # lxml's XMLSyntaxError is one
        raise AssertionError(
            f"GET {path} answered {answer.status}, and no {form.name}: {answer.body[:500]!r}"
        ) from None
    file = files.find_or_name(expected) if isinstance(expected, str | Path) and is_file_name(expected) else None
    if file is not None and not file.exists():
        found: str | None = "there was no such file"
    else:
        found = _difference(path, expected if file is None else file, actual, form, url)
    if found is None:
        return
    if file is not None and files.updates and answer.status < 400:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(form.write(actual), encoding="utf-8")
        raise AssertionError(
            f"{file} is written anew ({found}). Look at the change, then run without --notifhist-update."
        )
    status = f" (answered {answer.status})" if answer.status != 200 else ""
    raise AssertionError(f"GET {path}{status}: {found}" + (f"; expected is {file}" if file is not None else ""))


def _difference(path: str, expected: Any, actual: Any, form: Form, url: str) -> str | None:
    """Return the first difference; what is expected is a file, a text or a dict."""
    if not isinstance(expected, str | Path):
        return form.difference(form.read_dict(path, json.loads(json.dumps(expected).replace(url, URL))), actual)
    try:
        text = expected if isinstance(expected, str) else expected.read_text(encoding="utf-8")
        read = form.read(text.replace(url, URL))
    except (ValueError, SyntaxError) as error:
        return f"what is expected is no {form.name} ({error})"
    return form.difference(read, actual)
