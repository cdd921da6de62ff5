"""Few ids, names, texts and times, of which items are made, and queries about the deliveries of these."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from hypothesis import strategies as st

from notifhist.schemas.deliveries import OUTCOMES
from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.schemas.document import Document
from notifhist.schemas.fields import MAX_TIMESTAMP, TICKS_PER_MS
from notifhist.schemas.item_ids import ItemKey, id_of, key_of
from notifhist.schemas.query import CheckPath
from notifhist.store.counted.ranges import Range
from notifhist.store.deliveries.table import DELIVERIES
from tests.conftest import NOW_MS
from tests.delivery_model import Expected, expected_deliveries

_EDGES = [NOW_MS // level.part_ms * level.part_ms for level in DELIVERIES.levels]
_EDGES += [NOW_MS // DELIVERIES.levels[0].bucket_ms * DELIVERIES.levels[0].bucket_ms]
TIMES = st.one_of(
    st.sampled_from((NOW_MS, NOW_MS, NOW_MS + 1, 0, MAX_TIMESTAMP)),
    st.builds(lambda edge, ms: edge + ms, st.sampled_from(_EDGES), st.sampled_from((-1, 0, 1, 249, 250))),
)
"""Many of one millisecond, and many at the first and last milliseconds of buckets of every size."""
_HALVES = st.sampled_from((-(2**63), -(2**63) + 2**48, -(2**62) - 1))
IDS = st.builds(
    lambda ms, tick, half: id_of(ItemKey(ms * TICKS_PER_MS + tick, half)),
    TIMES,
    st.sampled_from((0, 0, 0, 1, 1999)),  # MAX_TIMESTAMP has no more than 6,847 ticks
    _HALVES,
)
"""Many are equal, in other checks and tenants too."""

PIECES = ("a", "A", "ab", "B", "ß", "SS", "é", "E\u0301", "🚨", "\U00010400", '"', "'", "%", "_", "\\", "*", " ", "İ")
TEXTS = st.lists(st.sampled_from(PIECES), max_size=5).map("".join) | st.sampled_from(
    ("", "\0", "a\0bc", "\ufffe\uffff")
)
NEEDLES = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map(lambda pieces: "".join(pieces)[:5])
_STATES, _PLANS = ("OK", "CRITICAL", "ok", "\0"), ("np", "NP", "np\0", "")
_TYPES, _NOTIFICATIONS = ("email", "sms"), ("nt", "nT", "nt\0")
_TRANSACTIONS = ("t1", "t2")
RESULTS = st.fixed_dictionaries(
    {},
    optional={
        "notification_id": st.sampled_from(_NOTIFICATIONS),
        "notification_type": st.sampled_from(_TYPES),
        "notification_details": st.sampled_from(({"url": "U:Straße"}, {"n": 1}, {"n": 1, "z": "Z"})),
        "in_progress": st.sampled_from((False, False, True)),
        "success": st.booleans(),
        "message": TEXTS,
        "attempts": st.lists(st.fixed_dictionaries({}, optional={"message": TEXTS}), max_size=2),
    },
)
CONTENTS: st.SearchStrategy[Document] = st.fixed_dictionaries(
    {"state": st.sampled_from(_STATES), "notification_results": st.lists(RESULTS, max_size=9)},
    optional={
        "previous_state": st.sampled_from(_STATES),
        "status": TEXTS,
        "notification_plan_id": st.sampled_from(_PLANS),
        "transaction_id": st.sampled_from(_TRANSACTIONS),
        "suppressions": st.sampled_from((["sp"], ["sp", "sq"], [])),
    },
)
ENTITIES, ALARMS, CHECK_IDS = ("x", "y ß"), ("a", "b"), ("c", "d")
Place = tuple[int, str, str, str]
"""The number of a tenant, and a check of it."""
PLACES: st.SearchStrategy[Place] = st.sampled_from([*product((0, 1), ENTITIES, ALARMS, CHECK_IDS)])
Given = tuple[Place, str, Document]
"""Where an item is, its id, and its content."""
GIVEN: st.SearchStrategy[Given] = st.tuples(PLACES, IDS, CONTENTS)


def item_of(item_id: str, content: Document) -> Document:
    return {"id": item_id, "timestamp": key_of(item_id).timestamp, **content}


def _some(*values: str) -> st.SearchStrategy[tuple[str, ...]]:
    one, several = st.sampled_from(values).map(lambda each: (each,)), st.lists(st.sampled_from(values), max_size=4)
    return one | several.map(tuple)


FILTERS = {
    "outcomes": _some(*OUTCOMES),
    "states": _some(*_STATES, "UNHEARD OF"),
    "notification_types": _some(*_TYPES, "unheard of"),
    "notification_ids": _some(*_NOTIFICATIONS, "unheard of"),
    "notification_plan_ids": _some(*_PLANS, "unheard of"),
    "entity_ids": _some(*ENTITIES, "unheard of"),
    "alarm_ids": _some(*ALARMS, "unheard of"),
    "check_ids": _some(*CHECK_IDS, "unheard of"),
    "transaction_ids": _some(*_TRANSACTIONS, "unheard of"),
}
_FAR = 2**70
_FROM = st.sampled_from((0, 0, 0, -_FAR, _FAR, NOW_MS, MAX_TIMESTAMP + 1)) | TIMES
_TO = st.sampled_from((_FAR, _FAR, _FAR, -_FAR, NOW_MS, MAX_TIMESTAMP)) | TIMES


@st.composite
def queries(draw: st.DrawFn) -> DeliveriesQuery:
    """Queries of any tenant with none to three filters; few search, since little is found then."""
    names = draw(st.lists(st.sampled_from(sorted(FILTERS)), max_size=3, unique=True))
    filters: dict[str, Any] = {name: draw(FILTERS[name]) for name in names}
    return DeliveriesQuery(
        "",
        draw(_FROM),
        draw(_TO),
        limit=draw(st.sampled_from((1, 2, 3, 5, 1000))),
        reverse=draw(st.booleans()),
        search_query=draw(st.one_of(st.just(""), st.just(""), st.just(""), NEEDLES)),
        **filters,
    )


def is_asked_for(delivery: Expected, query: DeliveriesQuery, oldest_ms: int | None) -> bool:
    document = delivery.document
    return (
        all(document.get(name[:-1]) in wanted for name in FILTERS if (wanted := getattr(query, name)))
        and query.from_ms <= document["timestamp"] <= query.to_ms
        and (oldest_ms is None or oldest_ms <= document["timestamp"])
        and delivery.has(query.search_query)
    )


@dataclass
class Model:
    """The items of some tenants, by check and id, and the deliveries that they have or once had."""

    items: dict[tuple[CheckPath, str], Document] = field(default_factory=dict)
    deliveries: dict[tuple[CheckPath, str], list[Expected]] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    """The ids of all deliveries that there are or were."""
    texts: set[str] = field(default_factory=set)
    """All texts that are or were searched."""

    def store(self, check: CheckPath, item: Document) -> None:
        place = check, item["id"]
        self.items[place] = item
        self.deliveries[place] = expected_deliveries(check, item)
        for each in self.deliveries[place]:
            self.ids.add(each.document["id"])
            self.texts.update(text for text in each.texts if text)

    def delete(self, check: CheckPath, item_id: str) -> None:
        del self.items[check, item_id], self.deliveries[check, item_id]

    def all(self, tenant: str) -> Iterator[Expected]:
        return (each for (check, _), its in self.deliveries.items() if check.tenant == tenant for each in its)

    def found(self, query: DeliveriesQuery, oldest_ms: int | None) -> list[Expected]:
        """Return all deliveries that a query asks for, in its order, whatever its marker and limit."""
        asked = (each for each in self.all(query.tenant) if is_asked_for(each, query, oldest_ms))
        return sorted(asked, key=lambda each: each.place, reverse=query.reverse)

    def contradict(self, records: Sequence[tuple[CheckPath, Document]]) -> list[tuple[CheckPath, Document]]:
        """Return those records whose id is there, or in an earlier record, with other content."""
        known, contradicting = dict(self.items), []
        for check, item in records:
            if known.setdefault((check, item["id"]), item) != item:
                contradicting.append((check, item))
        return contradicting


def counted(found: Sequence[Expected], by: str, buckets: Sequence[Range]) -> list[dict[str, int]]:
    """Return how many deliveries of each name of a member there are in each bucket."""
    return [
        dict(
            Counter(
                each.document.get(by, "(none)")
                for each in found
                if bucket.begin <= each.document["timestamp"] < bucket.end
            )
        )
        for bucket in buckets
    ]


Receiver = tuple[str | None, str | None, str | None]


def receivers(found: Sequence[Expected]) -> dict[Receiver, Document]:
    """Return the receivers of deliveries, in any order: their counts, and the last failure where there is one."""
    its: dict[Receiver, list[Expected]] = defaultdict(list)
    for each in sorted(found, key=lambda each: each.place):
        notification_id, notification_type, target = (each.document.get(name) for name in RECEIVER)
        if (notification_id, notification_type, target) != (None, None, None):
            its[notification_id, notification_type, target].append(each)
    return {receiver: _summary(receiver, deliveries) for receiver, deliveries in its.items()}


RECEIVER = ("notification_id", "notification_type", "target")


def _summary(receiver: Receiver, deliveries: Sequence[Expected]) -> Document:
    members: dict[str, Any] = dict(zip(RECEIVER, receiver, strict=True))
    members["counts"] = dict(Counter(each.document["outcome"] for each in deliveries))
    failures = [each.document for each in deliveries if each.document["outcome"] == "failed"]
    if failures:
        members |= {"last_failure": failures[-1]["timestamp"], "last_message": failures[-1].get("message")}
    return {name: value for name, value in members.items() if value is not None}
