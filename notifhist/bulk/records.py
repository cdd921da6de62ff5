"""The records of a file: documented JSON or XML, or the NDJSON of an export, each with its line.

Contract: docs/contract.md, "Loading".
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from notifhist.bodies import load
from notifhist.errors import BadRequest, Malformed
from notifhist.representation import from_json, from_xml
from notifhist.representation.parsed import MAX_DEPTH, Parsed
from schemas.bulk import ITEM_LINE, RUN_LINE
from schemas.document import Document, DocumentSchema
from schemas.history import HISTORY_CONTAINER, ITEM
from schemas.query import CheckPath
from schemas.runs import RUN, RUNS_CONTAINER

NDJSON = (".ndjson", ".jsonl")
SUFFIXES = (".json", ".xml", *NDJSON)

_PART = "([^/]+)"
_HISTORY_PATH = re.compile(
    f"{_PART}/entities/{_PART}/alarms/{_PART}/notification_history/([^/]+?)(?:/[^/]+)?[.](?:json|xml)$"
)
_RUNS_PATH = re.compile(f"{_PART}/api/v1/notifications/logs/run(?:/[^/]+)?[.](?:json|xml)$")


@dataclass(frozen=True)
class Tenant:
    """Where runs belong."""

    tenant: str


Place = CheckPath | Tenant
"""Where a record belongs."""


@dataclass(frozen=True)
class Record:
    """A sound record: an item or a run as its schema loads it, where it belongs, and the line it begins in."""

    line: int
    place: Place
    document: Document


@dataclass(frozen=True)
class BadRecord:
    """A record that does not fit, or a file that cannot be read at all."""

    line: int
    problem: str


def place_of(path: Path) -> Place | None:
    """Return where the records of a file belong that lies in a tree like the URLs; None if it does not."""
    text = path.absolute().as_posix()
    if matched := _HISTORY_PATH.search(text):
        return CheckPath(*map(unquote, matched.groups()))
    if matched := _RUNS_PATH.search(text):
        return Tenant(unquote(matched[1]))
    return None


def read_records(path: Path, place: Place | None) -> Iterator[Record | BadRecord]:
    """Yield the records of a file in their order; lines of NDJSON say themselves where they belong."""
    if path.suffix in NDJSON:
        yield from _read_lines(path)
    elif place is None:
        yield BadRecord(
            1, "Where does it belong? Give --tenant, and for items --entity, --alarm and --check."
        )
    else:
        yield from _read_document(path, place)


def _read_lines(path: Path) -> Iterator[Record | BadRecord]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _or_bad(number, lambda line=line, number=number: _read_line(line, number))


def _read_line(line: bytes, number: int) -> Record:
    value, problems = from_json.parse_value(line, max_depth=MAX_DEPTH + 1)
    is_run = isinstance(value, dict) and "run" in value
    loaded = load(Parsed(value, False, problems), RUN_LINE if is_run else ITEM_LINE).document
    if is_run:
        return Record(number, Tenant(loaded["tenant"]), loaded["run"])
    place = CheckPath(loaded["tenant"], loaded["entity_id"], loaded["alarm_id"], loaded["check_id"])
    return Record(number, place, loaded["item"])


def _read_document(path: Path, place: Place) -> Iterator[Record | BadRecord]:
    """Yield the records of a document: one, or those of a container."""
    single, container = (ITEM, HISTORY_CONTAINER) if isinstance(place, CheckPath) else (RUN, RUNS_CONTAINER)
    body = path.read_bytes()
    reader = from_xml if path.suffix == ".xml" else from_json
    try:
        parsed = reader.parse(body, single, container)
    except BadRequest as error:
        yield BadRecord(error.line if isinstance(error, Malformed) else 1, _text(error))
        return
    if not parsed.is_container:
        yield _or_bad(1, lambda: Record(1, place, load(parsed, single).document))
        return
    lines = reader.record_lines(body, container)
    for each, line in zip(_parts(parsed, container), lines, strict=False):
        yield _or_bad(line, lambda each=each, line=line: Record(line, place, load(each, single).document))


def _parts(parsed: Parsed, container: DocumentSchema) -> Iterator[Parsed]:
    """Yield the documents of a container, each with the problems of its own."""
    name = from_json.list_name(container)
    members: Any = parsed.document[name]
    for n, member in enumerate(members if isinstance(members, list) else [members]):
        prefix = f"{name}[{n}]"
        problems = {
            path.removeprefix(prefix).removeprefix("."): problem
            for path, problem in parsed.problems.items()
            if path.startswith((f"{prefix}.", f"{prefix}["))
        }
        yield Parsed(member, False, problems)


def _or_bad(line: int, read: Callable[[], Record]) -> Record | BadRecord:
    try:
        return read()
    except BadRequest as error:
        return BadRecord(line, _text(error))


def _text(error: BadRequest) -> str:
    return f"{error.message} {error.details}".strip()
