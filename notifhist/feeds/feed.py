"""What all feeds share: where a payload came from, the items that are derived from it, and a feed as a value."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from notifhist.feeds.payloads import read_json
from notifhist.schemas.document import Document

MAX_ITEMS = 1000
"""After so many items the rest of a body is ignored and counted as `too_many`; a body of 16 MiB may make a million.

A notification may have 1,001 items, so a body makes fewer than 2,001. To merge an attempt into each of so many takes
2 s of CPU on SQLite, for which other writers wait; to store so many new items 0.6 s.
"""


class Rule(Enum):
    """When a derived item is stored, and how."""

    CREATE = auto()
    """If the check has no item of its id; else nothing changes, whatever the content is."""
    UNLESS_REPEATED = auto()
    """As CREATE, unless an item of the check bears the same `transaction_id` and is of the last seconds.

    NOTIFHIST_FEED_DEDUP_S says how many.
    """
    UNLESS_SAME_SUPPRESSION = auto()
    """As CREATE, unless the check's newest item bears the same `suppressions` and is not sent either."""
    MERGE = auto()
    """As CREATE; if it is there, attempts whose `uuid` it does not have are merged into it (`feeds.merging`)."""


@dataclass(frozen=True)
class Origin:
    """Where and when a payload came in, and what the sender's URL chose by its query string.

    `received_ticks`: 100 ns since the epoch, UTC. `entity_labels` and `alarm_labels` are looked at before the usual
    ones. `per_group`: one item for each notification instead of one for each alert.
    """

    tenant: str
    received_ticks: int
    entity_labels: tuple[str, ...] = ()
    alarm_labels: tuple[str, ...] = ()
    per_group: bool = False


@dataclass(frozen=True)
class Derived:
    """An item that a feed derived, its check within the tenant, and when it is stored.

    The ids are fit for a path (`run.ids.path_id`), and the item is complete: it has an id and a timestamp.
    """

    entity_id: str
    alarm_id: str
    check_id: str
    item: Document
    rule: Rule = Rule.CREATE


@dataclass
class Mapped:
    """The result of mapping a payload: items, and how many parts of it were ignored, by reason.

    Reasons are label values of a metric: a fixed word each, never a text of the payload.
    """

    items: list[Derived] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)

    @property
    def is_full(self) -> bool:
        """Whether no further part of the payload is to be mapped."""
        return len(self.items) >= MAX_ITEMS


@dataclass(frozen=True)
class Feed:
    """A feed as a value: all that HTTP and the command line need to know of it.

    `name` stands in URLs, metrics and `source.feed`. `map` never raises, whatever JSON value the payload is. `decoders`
    read bodies, by media type: each returns the payload, or raises BadRequest for what does not parse; the first one
    reads files. `codings` are Content-Encodings beside gzip and deflate: functions of the packed body and of the most
    bytes that it may unpack to, which raise ValueError for what cannot be unpacked and OverflowError for more bytes.
    `takes_lists`: a list of payloads is a payload too. `push_path` is what the sender appends to the feed's URL;
    `probes` are the paths below that URL that it asks by GET, with the answers.
    """

    name: str
    summary: str
    map: Callable[[Any, Origin], Mapped]
    decoders: Mapping[str, Callable[[bytes], Any]] = field(default_factory=lambda: {"application/json": read_json})
    codings: Mapping[str, Callable[[bytes, int], bytes]] = field(default_factory=dict)
    takes_lists: bool = False
    push_path: str = ""
    probes: Mapping[str, Document] = field(default_factory=dict)
