"""A Loki push request in protobuf (`logproto.PushRequest`), brought to the value that the same push is in JSON.

The messages are described here as Loki has them (grafana/loki: pkg/push/push.proto), as far as they are read; other
fields are skipped. Texts are declared as bytes: a line that is not UTF-8 must not cost the others.
"""

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import islice
from typing import Any

from notifhist.errors import BadRequest, UnsupportedMediaType
from notifhist.feeds.loki_labels import parse_labels
from notifhist.schemas.document import Document

MAX_ENTRIES = 100_000
"""The most streams, and the most lines, that a push in protobuf may have; an empty one takes two bytes of a body."""
_MAX_FIELDS = 4 * MAX_ENTRIES
"""A stream is a field, and has its labels, a hash and its lines as fields."""
_NEEDS_EXTRA = (
    "Its operator has to install an extra: pip install 'notifhist[grafana]'. JSON, gzip and deflate do without."
)
_BYTES, _INT64, _INT32, _MESSAGE = 12, 3, 5, 11  # FieldDescriptorProto.Type
_OPTIONAL, _REPEATED = 1, 3  # FieldDescriptorProto.Label
_MESSAGES = {
    "Timestamp": (("seconds", 1, _INT64, _OPTIONAL, ""), ("nanos", 2, _INT32, _OPTIONAL, "")),
    "Entry": (("timestamp", 1, _MESSAGE, _OPTIONAL, "Timestamp"), ("line", 2, _BYTES, _OPTIONAL, "")),
    "Stream": (("labels", 1, _BYTES, _OPTIONAL, ""), ("entries", 2, _MESSAGE, _REPEATED, "Entry")),
    "PushRequest": (("streams", 1, _MESSAGE, _REPEATED, "Stream"),),
}
"""Each message's fields: name, number, type, label, and the message that it holds."""
_VARINT, _LENGTH, _FIXED = 0, 2, {1: 8, 5: 4}
"""How fields are encoded, and of how many bytes those are that have always as many."""
_STREAM = 1 << 3 | _LENGTH
"""A stream's number and encoding, as they stand before it."""
_NS_PER_S = 1_000_000_000


def read_push(body: bytes) -> Document:
    """Return a push in protobuf as it is in JSON, without the metadata of its lines.

    Labels that do not parse stay a text. Raises BadRequest for what is no such request, and UnsupportedMediaType where
    protobuf is not installed.
    """
    try:
        from google.protobuf.message import DecodeError
    except ImportError:
        raise UnsupportedMediaType("This service cannot read protobuf.", _NEEDS_EXTRA) from None
    try:
        push = None if _has_too_many_fields(body) else _push_request().FromString(body)
    except (DecodeError, IndexError):
        raise BadRequest("The body is no Loki push request in protobuf.") from None
    if push is None or len(push.streams) > MAX_ENTRIES or sum(len(each.entries) for each in push.streams) > MAX_ENTRIES:
        raise BadRequest("The push is too long.", f"It may have {MAX_ENTRIES} streams and lines.")
    return {"streams": [_stream(stream) for stream in push.streams]}


def _has_too_many_fields(body: bytes) -> bool:
    """Say whether a push has too many fields, before a message of 60 bytes or more is made of each.

    Source: https://protobuf.dev/programming-guides/encoding/. Raises IndexError for what ends too early; what else is
    no protobuf is told when it is read.
    """
    count = 0
    for is_stream, start, end in _fields(body, 0, len(body)):
        count += 1
        if is_stream:
            count += sum(1 for _ in islice(_fields(body, start, end), _MAX_FIELDS))
        if count > _MAX_FIELDS:
            return True
    return False


def _fields(body: bytes, position: int, end: int) -> Iterator[tuple[bool, int, int]]:
    """Yield the fields of a message from `position` to `end`: whether it may be a stream, where it begins and ends."""
    while position < end:
        tag, position = _varint(body, position)
        start, kind = position, tag & 7
        if kind == _LENGTH:
            size, start = _varint(body, position)
            position = start + size
        elif kind == _VARINT:
            _, position = _varint(body, position)
        else:
            position += _FIXED.get(kind, 0)  # groups have no length, and their fields count as those around them
        yield tag == _STREAM, start, min(position, end)


def _varint(body: bytes, position: int) -> tuple[int, int]:
    """Return the number of at most ten bytes at a position, and the position after it."""
    number = 0
    for shift in range(0, 70, 7):
        byte = body[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    return number, position


def unpack_snappy(packed: bytes, most: int) -> bytes:
    """Return what snappy's block format packed.

    Raises ValueError for what is none, OverflowError for more than `most` bytes, and UnsupportedMediaType where cramjam
    is not installed.
    """
    try:
        from cramjam import DecompressionError, snappy
    except ImportError:
        raise UnsupportedMediaType("This service cannot unpack snappy.", _NEEDS_EXTRA) from None
    try:
        if snappy.decompress_raw_len(packed) > most:  # it stands at the beginning; no more than that is unpacked
            raise OverflowError
        return bytes(snappy.decompress_raw(packed))
    except DecompressionError as error:
        raise ValueError(str(error)) from None


def _stream(stream: Any) -> Document:
    labels: Any = stream.labels.decode(errors="replace")
    with suppress(ValueError):
        labels = parse_labels(labels)
    return {"stream": labels, "values": [_entry(entry) for entry in stream.entries]}


def _entry(entry: Any) -> list[str]:
    ns = entry.timestamp.seconds * _NS_PER_S + entry.timestamp.nanos
    return [str(ns), entry.line.decode(errors="replace")]


@cache
def _push_request() -> Any:
    """Return the class of the message PushRequest."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClass

    file = FileDescriptorProto(name="push.proto", package="logproto", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, label, of in fields:
            message.field.add(
                name=field, number=number, type=kind, label=label, type_name=f".logproto.{of}" if of else None
            )
    pool = DescriptorPool()  # of its own: another package of the process may describe the same messages
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("logproto.PushRequest"))
