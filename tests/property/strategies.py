"""What hypothesis may make of a history item: all that a sender may record, the awkward above all."""

import re
import uuid
from collections.abc import Mapping
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from notifhist.schemas.document import Document, member_fields
from notifhist.schemas.fields import MAX_TIMESTAMP, NUMBER_RANGE, UUID_EPOCH_TICKS
from notifhist.schemas.history import ATTEMPT, HISTORY_PAGE, ITEM, NotificationResultSchema
from notifhist.schemas.item_ids import ItemKey, id_of
from notifhist.schemas.logs import LOG
from notifhist.schemas.runs import RUN
from notifhist.schemas.xml_names import ROOTS

RESULT = NotificationResultSchema()
MAX_TICKS = 2**60 - 1 - UUID_EPOCH_TICKS
"""The last 100 ns, since the epoch, that a version-1 UUID holds."""

_NAMED = {
    name for schema in (ITEM, RESULT, ATTEMPT, HISTORY_PAGE, RUN, LOG) for name in (schema.root, *member_fields(schema))
}
AWKWARD_NAMES = (
    *sorted(_NAMED | ROOTS.keys() | {"notification_result", "check_ids", "check_id", "runs", "logs"}),
    *("entry", "item", "key", "from_", "__class__", "xml", "xmlns", "xmlns:a", "xsi:type", "a:b", "{a}b", "a b"),
    *("", " ", "0", "-", ".", "é", "e\u0301", "\u0301e", "\u05e9\u05dc\u05d5\u05dd", "\u202eabc", "🚨", "👩\u200d🚒"),
    *("\0", "a\0", "a\x1f", "\x7f", "\x85", "\u2028", "\ufeff", "\ufffd", "\ufffe", "\U000effff", "\U000f0000"),
)
"""Named members of every level, roots, what XML means something by, and what is no XML name."""

NUMBERS = st.one_of(
    st.sampled_from((0, -1, 2**53 + 1, 2**63 - 1, 2**63, *NUMBER_RANGE)),
    st.integers(*NUMBER_RANGE),
    st.floats(allow_nan=False, allow_infinity=False),
)
TEXTS = st.one_of(
    st.sampled_from(("", " ", "\t\r\n", "\0", "]]>", "<a>&amp;", "true", "1", "-0", "\u202e!", "\ufffe", "🚨")),
    st.text(max_size=8),
)
NAMES = st.one_of(st.sampled_from(AWKWARD_NAMES), st.text(max_size=4))
XML_TEXTS = st.text(
    st.characters(min_codepoint=32, exclude_categories=["Cs"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\n\r"),
    max_size=8,
)
"""Texts of the characters that XML 1.0 can hold."""
NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""The characters that XML 1.0 cannot hold, lone surrogates aside."""

_scalars = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES: st.SearchStrategy[Any] = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
"""Any JSON value."""
MAPS = st.dictionaries(NAMES, VALUES, max_size=4)


def examples(share: float = 1) -> settings:
    """Return settings with this share of the profile's examples."""
    return settings(max_examples=max(1, int(settings().max_examples * share)))


@st.composite
def ids(draw: st.DrawFn) -> str:
    """Ids of all times, in lower case."""
    ticks = draw(st.sampled_from((0, 1, 9_999, 10_000, MAX_TICKS)) | st.integers(0, MAX_TICKS))
    return id_of(ItemKey(ticks, draw(st.integers(-(2**63), -(2**62) - 1))))


@st.composite
def _shuffled(draw: st.DrawFn, documents: st.SearchStrategy[Document]) -> Document:
    return dict(draw(st.permutations(list(draw(documents).items()))))


def _open(
    required: Mapping[str, st.SearchStrategy[Any]],
    optional: Mapping[str, st.SearchStrategy[Any]],
    reserved: tuple[str, ...] = (),
) -> st.SearchStrategy[Document]:
    """Documents of these members and of any others but those `reserved`, in any order."""
    named = st.fixed_dictionaries(dict(required), optional=dict(optional))
    taken = {*required, *optional, *reserved}
    unnamed = st.dictionaries(NAMES.filter(lambda name: name not in taken), VALUES, max_size=3)
    return _shuffled(st.tuples(named, unnamed).map(lambda both: both[0] | both[1]))


def _history(text: st.SearchStrategy[str], details: st.SearchStrategy[Document], unnamed: bool) -> Any:
    """Items without id and timestamp, whose strings and free maps are these."""

    def document(
        required: dict[str, st.SearchStrategy[Any]], optional: dict[str, st.SearchStrategy[Any]], *reserved: str
    ) -> st.SearchStrategy[Document]:
        if unnamed:
            return _open(required, optional, reserved)
        return _shuffled(st.fixed_dictionaries(required, optional=optional))

    attempts = document({}, {"message": text, "from": text})
    if not unnamed:  # an empty attempt alone is an empty element, hence an empty list
        attempts = attempts.filter(bool)
    results = document(
        {},
        {
            "notification_id": text,
            "notification_type": text,
            "notification_details": details,
            "in_progress": st.booleans(),
            "message": text,
            "success": st.booleans(),
            "attempts": st.lists(attempts, max_size=4),
        },
    )
    suppressions = st.lists(text, max_size=3)
    if not unnamed:  # so is an empty text alone
        suppressions = suppressions.filter(lambda each: len(each) != 1 or each[0].strip())
    members = dict.fromkeys(("notification_plan_id", "transaction_id", "status", "previous_state"), text)
    return document(
        {"state": text, "notification_results": st.lists(results, max_size=3)},
        {**members, "suppressions": suppressions},
        "values",
        "id",
        "timestamp",
    )


@st.composite
def _dated(draw: st.DrawFn, items: st.SearchStrategy[Document]) -> Document:
    """Items with an id, a timestamp, both or neither, wherever they stand."""
    item = draw(items)
    item_id = draw(ids())
    timestamp = (uuid.UUID(item_id).time - UUID_EPOCH_TICKS) // 10_000
    both = {"id": item_id, "timestamp": timestamp}
    given_names = draw(st.sets(st.sampled_from(tuple(both))))
    if given_names == {"timestamp"}:
        both["timestamp"] = draw(st.sampled_from((0, MAX_TIMESTAMP)) | st.integers(0, MAX_TIMESTAMP))
    for name in sorted(given_names):
        place = draw(st.integers(0, len(item)))
        members = list(item.items())
        item = dict([*members[:place], (name, both[name]), *members[place:]])
    return item


ANY_ITEM: st.SearchStrategy[Document] = _dated(_history(TEXTS, MAPS, unnamed=True))
"""Whatever may be recorded."""

_xml_free: st.SearchStrategy[Any] = st.recursive(
    XML_TEXTS.filter(bool),
    lambda inner: (
        st.lists(inner.filter(lambda value: not isinstance(value, list)), min_size=2, max_size=3)
        | st.dictionaries(XML_TEXTS, inner, min_size=1, max_size=3)
    ),
    max_leaves=6,
)
XML_ITEM: st.SearchStrategy[Document] = _dated(
    _history(XML_TEXTS, st.dictionaries(XML_TEXTS, _xml_free, max_size=3), unnamed=False)
)
"""Items that XML can say in full: named members, XML characters, free maps of texts."""

MANY_ATTEMPTS: Document = {
    "state": "CRITICAL",
    "notification_results": [
        {"notification_id": "nt", "attempts": [{"message": f"try {n}", "from": "ele", "n": n} for n in range(1000)]}
    ],
}
AWKWARD_ITEM: Document = {
    "🚨": {"deep": [[[[{"a:b": [None, [], {}, 2**64 - 1, -(2**63), 1e-320]}]]]]},
    "notification_results": [
        {"container": 1, "attempts": [{"error": None, "timestamp": "never"}, {}], "values": [], "id": 5}
    ],
    "error": {"message": ["a"]},
    "attempts": [[None]],
    "from_": "\0",
    "\x1f": None,
    "state": "",
}


def completed(item: Document, answered: Mapping[str, Any]) -> Document:
    """Return `item` as it must come out: with what it left to be filled in taken from the answer."""
    if "id" not in item:
        item = {"id": answered["id"], **item}
    if "timestamp" not in item:
        id_first = {"id": item["id"]} if next(iter(item)) == "id" else {}
        item = {**id_first, "timestamp": answered["timestamp"], **item}
    return item
