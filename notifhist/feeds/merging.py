"""Join items of one id by their attempts: in any order, split in any way and repeated, the outcome is the same."""

from collections.abc import Iterable, Sequence
from typing import Any

from notifhist.feeds.payloads import text
from notifhist.schemas.document import Document

Attempt = dict[str, Any]
MAX_ATTEMPTS = 1000
"""So many attempts of a result are kept: the earliest one and the latest ones.

Each attempt that is merged costs a time that grows with those that are there. Which ones are kept does not depend on
the order in which they came.
"""
_BEFORE_ALL = (-1, "")


def merged(stored: Document, derived: Document) -> Document | None:
    """Return `stored` with the attempts of `derived` that it lacks; None if it has all. See `joined`.

    None too if it keeps none of them.
    """
    known = _identities(stored)
    if _identities(derived) <= known:
        return None
    both = joined([stored, derived])
    return None if _identities(both) == known else both


def dropped(items: Iterable[Document], whole: Document) -> int:
    """Return how many attempts of items are not in what they were joined to, since they were too many."""
    if all(len(result.get("attempts", ())) < MAX_ATTEMPTS for result in whole["notification_results"]):
        return 0
    return len(set[Any]().union(*map(_identities, items)) - _identities(whole))


def joined(items: Sequence[Document]) -> Document:
    """Return items of one id as one: each attempt once, by the `notification_id` of its result and by its `uuid`.

    Attempts stand in the order of `at` (ms), results in that of `integrationIdx` in their details, then of their type.
    A result's `success` and `message` are those of its latest attempt. The other members are those of the item with the
    earliest attempt, since an alert's state may change between two attempts. Clients may have replaced a stored item,
    so no member of it need be as it was derived.
    """
    results: dict[Any, Document] = {}
    attempts: dict[Any, dict[Any, Attempt]] = {}
    by_time = sorted(items, key=_began)
    for item in by_time:
        for position, result in enumerate(item["notification_results"]):
            name = result.get("notification_id", position)
            results.setdefault(name, result)
            known = attempts.setdefault(name, {})
            for number, attempt in enumerate(result.get("attempts", ())):
                known.setdefault(text(attempt.get("uuid")) or number, attempt)
    whole = [_with_attempts(result, attempts[name].values()) for name, result in results.items()]
    return {**by_time[0], "notification_results": sorted(whole, key=_place)}


def _with_attempts(result: Document, attempts: Any) -> Document:
    if not attempts:
        return result
    in_order = sorted(attempts, key=_moment)
    if len(in_order) > MAX_ATTEMPTS:
        in_order = [in_order[0], *in_order[1 - MAX_ATTEMPTS :]]
    outcome = {name: in_order[-1][name] for name in ("success", "message") if name in in_order[-1]}
    return {**result, **outcome, "attempts": in_order}


def _identities(item: Document) -> set[tuple[Any, str]]:
    results = enumerate(item["notification_results"])
    return {
        (result.get("notification_id", position), text(attempt.get("uuid")))
        for position, result in results
        for attempt in result.get("attempts", ())
    }


def _began(item: Document) -> tuple[int, str]:
    """Return the moment of an item's earliest attempt."""
    attempts = [each for result in item["notification_results"] for each in result.get("attempts", ())]
    return min(map(_moment, attempts), default=_BEFORE_ALL)


def _moment(attempt: Attempt) -> tuple[int, str]:
    at = attempt.get("at")
    return at if isinstance(at, int) else 0, text(attempt.get("uuid"))


def _place(result: Document) -> tuple[int, str, str]:
    index = result.get("notification_details", {}).get("integrationIdx")
    kind, name = result.get("notification_type", ""), result.get("notification_id", "")
    return index if isinstance(index, int) else 0, kind, name
