"""The records of a file: documented JSON or XML, or the NDJSON of an export, each with its line.

Contract: docs/contract.md, "Loading".
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import orjson

from notifhist.errors import BadRequest, Malformed, name_problems
from notifhist.schemas.document import Document, DocumentSchema
from notifhist.schemas.fields import PATH_ID, TICKS_PER_MS, is_path_id
from notifhist.schemas.item_ids import hashed_key, id_of
from notifhist.schemas.query import Tenant
from notifhist.schemas.resources import ITEM_RESOURCE, Resource
from notifhist.serializers import from_json, from_xml
from notifhist.serializers.bodies import validate_parsed
from notifhist.serializers.parsed import MAX_DEPTH, Parsed, list_field
from notifhist.store.history.items import ITEM_RECORDER
from notifhist.store.resources import RECORDERS

NDJSON = (".ndjson", ".jsonl")
_LINE_DEPTH = MAX_DEPTH + 5
"""An attempt may be nested as deeply as a body, and stands four levels deep in its item, five in its line."""
SUFFIXES = (".json", ".xml", *NDJSON)
CHUNK_BYTES = 256 * 1024
"""A file of lines is read in chunks of this size, each continued to the end of its last line."""

_DISCOVERY_PATH = re.compile(r"/notification_history[.](?:json|xml)$")


@dataclass(frozen=True)
class Destination:
    """The resource and the owner of the records of a file."""

    resource: Resource
    owner: Tenant


@dataclass(frozen=True)
class Record:
    """A valid record with its id, as its schema loads it, and the line in which it begins."""

    line: int
    resource: Resource
    owner: Tenant
    document: Document


@dataclass(frozen=True)
class BadRecord:
    """A record that does not fit, or a file that cannot be read at all."""

    line: int
    problem: str


class Chunk(NamedTuple):
    """Some lines of a file: the number of the first line, its offset in bytes, and the bytes of all."""

    line: int
    offset: int
    data: bytes


@cache
def _pattern(path: str) -> re.Pattern[str]:
    """Return the pattern of a resource's files, by the path of its URLs."""
    return re.compile(re.sub("{(\\w+)}", "(?P<\\1>[^/]+?)", path) + "(?:/[^/]+)?[.](?:json|xml)$")


def destination_of(path: Path) -> Destination | None:
    """Return the destination that a file's path names, if it is in a tree like the URLs; else None."""
    text = path.absolute().as_posix()
    resources = [recorder.resource for recorder in RECORDERS.values()]
    for resource in sorted(resources, key=lambda each: -len(each.path)):  # a path may begin like a shorter one
        if matched := _pattern(resource.path).search(text):
            ids = {name: unquote(part, errors="surrogateescape") for name, part in matched.groupdict().items()}
            return Destination(resource, resource.owner(**ids))
    return None


def is_discovery(path: Path) -> bool:
    """Say whether a file is the list of an alarm's checks, which follows from their items."""
    return _DISCOVERY_PATH.search(path.absolute().as_posix()) is not None


def owner_problems(owner: Tenant) -> str:
    """Return the problems of an owner's ids; empty if there are none."""
    return name_problems({name: PATH_ID for name, value in vars(owner).items() if not is_path_id(value)})


def read_records(path: Path, destination: Destination | None) -> Iterator[Record | BadRecord]:
    """Yield the records of a file in their order; each line of NDJSON names its owner."""
    if path.suffix in NDJSON:
        for chunk in read_chunks(path):
            yield from read_lines(chunk)
    elif destination is not None:
        problems = owner_problems(destination.owner)
        if problems:
            yield BadRecord(1, f"No such place. {problems}")
        else:
            yield from _read_document(path, destination)
    elif is_discovery(path):
        yield BadRecord(1, "This list of checks follows from their items; load those.")
    else:
        yield BadRecord(1, "Where does it belong? Give --tenant, and --entity, --alarm and --check or --of.")


def read_chunks(path: Path) -> Iterator[Chunk]:
    """Yield a file of lines chunk by chunk."""
    number, offset = 1, 0
    with path.open("rb") as file:
        while data := file.read(CHUNK_BYTES) + file.readline():
            yield Chunk(number, offset, data)
            number += data.count(b"\n")
            offset += len(data)


def read_lines(chunk: Chunk) -> Iterator[Record | BadRecord]:
    """Yield the records of some lines."""
    for number, line in enumerate(chunk.data.split(b"\n"), start=chunk.line):
        if line.strip():
            yield _or_bad(number, partial(_read_line, line.rstrip(b"\r"), number))


def _read_line(line: bytes, number: int) -> Record:
    try:
        value, problems = from_json.parse_value(line, max_depth=_LINE_DEPTH)
    except Malformed as error:  # its line is that within `line`, always 1
        raise BadRequest(error.message, f"{error.problem}: column {error.column}.") from None
    members = value if isinstance(value, dict) else {}
    recorders = (recorder for name, recorder in RECORDERS.items() if name in members)
    resource = next(recorders, ITEM_RECORDER).resource
    loaded = validate_parsed(Parsed(value, False, problems), resource.line).document
    document = loaded.pop(resource.name)
    return _record(number, Destination(resource, resource.owner(**loaded)), document)


def _read_document(path: Path, destination: Destination) -> Iterator[Record | BadRecord]:
    """Yield the records of a document: one, or those of a container."""
    single, container = destination.resource.document, destination.resource.container
    body = path.read_bytes()
    reader = from_xml if path.suffix == ".xml" else from_json
    try:
        parsed = reader.parse(body, single, container)
        documents = _documents_of(parsed, single, container) if parsed.is_container else [parsed]
    except BadRequest as error:
        yield BadRecord(error.line if isinstance(error, Malformed) else 1, str(error))
        return
    lines = reader.record_lines(body, container) if parsed.is_container else [1]
    for each, line in zip(documents, lines, strict=True):
        yield _or_bad(line, partial(_read_one, each, destination, line))


def _documents_of(parsed: Parsed, single: DocumentSchema, container: DocumentSchema) -> list[Parsed]:
    """Return the documents of a container, each with the problems of its own.

    Raises BadRequest if the container itself does not fit.
    """
    name = list_field(container)[0]
    members: Any = parsed.document.get(name)
    own: dict[str, str] = {}
    of_members: dict[int, dict[str, str]] = {}
    for path, problem in parsed.problems.items():
        if matched := re.match(rf"{name}\[(\d+)\][.]?", path):
            of_members.setdefault(int(matched[1]), {})[path[matched.end() :] or "the record"] = problem
        else:
            own[path] = problem
    envelope = {**parsed.document, name: []} if isinstance(members, list) else parsed.document
    validate_parsed(Parsed(envelope, True, own), single, container)
    return [Parsed(member, False, of_members.get(n, {})) for n, member in enumerate(members)]


def _read_one(parsed: Parsed, destination: Destination, line: int) -> Record:
    return _record(line, destination, validate_parsed(parsed, destination.resource.document).document)


def _record(line: int, destination: Destination, document: Document) -> Record:
    """Return the record. An item that has only its timestamp gets an id, the same whenever it is loaded.

    Raises BadRequest for a record that loading the file again would store twice.
    """
    resource, owner = destination.resource, destination.owner
    if "id" not in document:
        if resource is not ITEM_RESOURCE:
            raise BadRequest(f"The {resource.name} has no id.", "Loaded again, it would be there twice.")
        if "timestamp" not in document:
            raise BadRequest("The item has neither id nor timestamp.", "Loaded again, it would be there twice.")
        content = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        document = {"id": id_of(hashed_key(document["timestamp"] * TICKS_PER_MS, content)), **document}
    return Record(line, resource, owner, document)


def _or_bad(line: int, read: Callable[[], Record]) -> Record | BadRecord:
    try:
        return read()
    except BadRequest as error:
        return BadRecord(line, str(error))
