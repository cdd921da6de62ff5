"""An item's id, a version-1 UUID, is marker and sort key: it orders a series by time, then by clock and node."""

import hashlib
import secrets
import uuid
from typing import NamedTuple

from notifhist.schemas.document import Document
from notifhist.schemas.fields import MAX_TICKS, TICKS_PER_MS, UUID_EPOCH_TICKS, time_uuid
from notifhist.schemas.query import CheckPath

_SIGNED_64 = 2**64
_MULTICAST = 1 << 40


class ItemKey(NamedTuple):
    """The place of an item in its series: by the UUID's time, then by the id, as two integers.

    `ticks`: 100 ns since the Unix epoch, UTC. `clock_and_node`: the last 64 bits of the UUID (variant, clock
    sequence, node), signed. Among equal times it sorts as the id's text does, since the first two of these bits
    are the same in all version-1 UUIDs.
    """

    ticks: int
    clock_and_node: int

    @property
    def timestamp(self) -> int:
        """The item's timestamp: ms since the epoch, floored."""
        return self.ticks // TICKS_PER_MS


def key_of(item_id: str) -> ItemKey:
    """Return the key of an item's id. Raises ValueError if it is no version-1 UUID."""
    item_id = time_uuid(item_id)
    return ItemKey(_ticks_of(item_id), int(item_id[19:23] + item_id[24:], 16) - _SIGNED_64)


def id_of(key: ItemKey) -> str:
    """Return the id, in lower case, whose key is `key`."""
    time = key.ticks + UUID_EPOCH_TICKS
    fields = (time & 0xFFFFFFFF) << 32 | (time >> 32 & 0xFFFF) << 16 | 1 << 12 | time >> 48
    return str(uuid.UUID(int=fields << 64 | key.clock_and_node + _SIGNED_64))


def id_at(item_id: str, clock_and_node: int) -> str:
    """Return the id, in lower case, of the time of another id, also in lower case."""
    bits = clock_and_node + _SIGNED_64
    return f"{item_id[:19]}{bits >> 48:04x}-{bits & 0xFFFFFFFFFFFF:012x}"


def new_key(ticks: int, ordinal: int = 0) -> ItemKey:
    """Return a fresh key at `ticks` (100 ns since the Unix epoch), for a new id.

    `ordinal` counts the items that are recorded together: they stay in order within their millisecond.
    """
    last_of_ms = ticks - ticks % TICKS_PER_MS + TICKS_PER_MS - 1
    ticks = min(ticks + ordinal, last_of_ms, MAX_TICKS)
    return ItemKey(ticks, _clock_and_node(secrets.randbits(62)))


def hashed_key(ticks: int, content: bytes) -> ItemKey:
    """Return the key at `ticks` (100 ns since the Unix epoch) whose other half is a hash of `content`."""
    return ItemKey(ticks, _hashed(content))


def key_in_tenant(check: CheckPath, item_id: str, *position: str) -> ItemKey:
    """Return the key of what is derived from an item, for an id that is unique in the tenant, not only in the check.

    The time is the item's; the other half is a hash of where the item is, and of `position`, which tells several
    things apart that are derived from one item (part E of the contract, E1 and E2).
    """
    place = "\0".join((check.entity_id, check.alarm_id, check.check_id, item_id, *position))
    return ItemKey(_ticks_of(item_id), _hashed(place.encode()))


def complete_item(document: Document, now_ticks: int = 0, ordinal: int = 0) -> Document:
    """Return `document` with its id and timestamp; those that are filled in come first.

    Without either, its time is `now_ticks`, 100 ns since the epoch. `ordinal`: see `new_key`.
    """
    if "id" not in document:
        ticks = document["timestamp"] * TICKS_PER_MS if "timestamp" in document else now_ticks
        document = {"id": id_of(new_key(ticks, ordinal)), **document}
    if "timestamp" not in document:
        # The timestamp directly follows the id if that is first; otherwise it precedes all members.
        timestamp = key_of(document["id"]).timestamp
        first = {"id": document["id"]} if next(iter(document)) == "id" else {}
        document = {**first, "timestamp": timestamp, **document}
    return document


def _ticks_of(item_id: str) -> int:
    """Return the time of a version-1 UUID, in ticks since the Unix epoch; `uuid.UUID` takes three times as long."""
    return int(item_id[15:18] + item_id[9:13] + item_id[:8], 16) - UUID_EPOCH_TICKS


def _hashed(content: bytes) -> int:
    return _clock_and_node(int.from_bytes(hashlib.sha256(content).digest()[:8]))


def _clock_and_node(bits: int) -> int:
    """Return the second half of a key, its clock sequence and node made of `bits`."""
    # The multicast bit marks a node that is no network card's address (RFC 9562, 6.10).
    return (0b10 << 62 | bits & 2**62 - 1 | _MULTICAST) - _SIGNED_64
