"""What is recorded in a small history, what is asked of it, and who pages through it: few ids and times, many equal."""

import uuid
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from notifhist.config import MS_PER_DAY
from notifhist.schemas.document import Document
from notifhist.schemas.item_ids import ItemKey, id_of, key_of
from tests.conftest import NOW_MS
from tests.property.strategies import completed

SERIES = "/entities/e/alarms/a/notification_history"
CHECKS = ("b", "B ?é")
RETENTION, WINDOW, DEFAULT_LIMIT = 30 * MS_PER_DAY, 7 * MS_PER_DAY, 3
LATER = NOW_MS * 2
_TIMES = (-RETENTION - 1, -RETENTION, -WINDOW - 1, -WINDOW, -1, 0, 1, MS_PER_DAY)
TIMES = st.sampled_from([NOW_MS + time for time in _TIMES])
IDS = st.builds(
    lambda ms, tick, clock_and_node: id_of(ItemKey(ms * 10_000 + tick, clock_and_node)),
    TIMES,
    st.sampled_from((0, 1, 9_999)),
    st.sampled_from((-(2**63), -(2**63) + 2**48, -(2**62) - 1)),
)
"""Few ids, of which many are equal to the millisecond and some to the tick."""
CONTENTS = st.builds(
    lambda state, results: {"state": state, "notification_results": results},
    st.sampled_from(("OK", "WARNING", "CRITICAL")),
    st.sampled_from(([], [{"notification_id": "nt"}], [{"notification_id": "nt", "attempts": [{"message": "1"}]}])),
)
ITEMS = st.one_of(
    CONTENTS,
    st.builds(lambda time, content: {"timestamp": time, **content}, TIMES, CONTENTS),
    st.builds(lambda item_id, content: {**content, "id": item_id}, IDS | IDS.map(str.upper), CONTENTS),
)
QUERIES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "limit": st.sampled_from((1, 2, 3, 5, 1000)),
        "from": st.sampled_from((0, 0, 0, NOW_MS - RETENTION, NOW_MS - WINDOW, NOW_MS)),
        "to": st.sampled_from((LATER, LATER, LATER, NOW_MS + 1, NOW_MS, NOW_MS - WINDOW)),
        "reverse": st.sampled_from(("true", "True", "1", "yes", "false", "no")),
        "unknown": st.sampled_from(("", "a&b=ü +%")),
    },
)


def place(item_id: str) -> tuple[int, str]:
    """Return what orders items: the UUID's time, then the id."""
    return uuid.UUID(item_id).time, item_id


@dataclass
class Walk:
    """Somebody who goes through a series page by page."""

    check: str
    asked: dict[str, Any]
    href: str | None
    seen: list[str]
    there_all_the_time: set[str]
    """The items that were there to be seen on each page so far."""

    @property
    def is_reverse(self) -> bool:
        return self.asked.get("reverse", "no").lower() in ("true", "1", "yes")


def normal(item: Document) -> Document:
    """Return the item as it must be recorded, where its id tells all of it."""
    if "id" not in item:
        return item
    item = {**item, "id": item["id"].lower()}
    return completed(item, {"timestamp": key_of(item["id"]).timestamp})
