"""Merge attempts into an item that is there: in any order, split in any way and repeated, the outcome is the same."""

from typing import Any

from notifhist.schemas.document import Document

Attempt = dict[str, Any]


def merged(stored: Document, derived: Document) -> Document | None:
    """Return `stored` with those attempts of `derived` whose `uuid` it does not have; None if it has all.

    Attempts stand in the order of `at` (ms), results in that of `integrationIdx` in their details, then of their type.
    A result's `success` and `message` are those of its latest attempt. Results are the same if their
    `notification_id` is.
    """
    results = {result.get("notification_id"): result for result in stored["notification_results"]}
    known = {attempt.get("uuid") for result in results.values() for attempt in result.get("attempts", ())}
    is_changed = False
    for result in derived["notification_results"]:
        new = [attempt for attempt in result.get("attempts", ()) if attempt.get("uuid") not in known]
        if new:
            is_changed = True
            name = result.get("notification_id")
            results[name] = with_attempts(results.get(name, result | {"attempts": []}), new)
    return {**stored, "notification_results": sorted(results.values(), key=_place)} if is_changed else None


def with_attempts(result: Document, new: list[Attempt]) -> Document:
    """Return a result with more attempts, in their order, and with the outcome of the latest."""
    attempts = sorted([*result.get("attempts", ()), *new], key=lambda each: (each.get("at", 0), each.get("uuid", "")))
    latest = attempts[-1]
    outcome = {name: latest[name] for name in ("success", "message") if name in latest}
    return {**result, **outcome, "attempts": attempts}


def _place(result: Document) -> tuple[Any, ...]:
    details = result.get("notification_details", {})
    return details.get("integrationIdx", 0), result.get("notification_type", ""), result.get("notification_id", "")
