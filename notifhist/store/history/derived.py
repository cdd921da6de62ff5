"""Record the items that a feed derived from a body, all in one transaction, each by its rule (`feeds.feed.Rule`).

An item whose rule looks at what is stored is stored under the lock of the tenant's name, as each change of an item is:
what two requests bring at once, one of them finds stored.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from notifhist.errors import RequestTooLarge
from notifhist.feeds.feed import Derived, Rule
from notifhist.feeds.merging import dropped, merged
from notifhist.schemas.document import Document
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.query import CheckPath
from notifhist.store.database import Database
from notifhist.store.history.attempts import Merger
from notifhist.store.history.items import ITEM_RECORDER, ItemDraft
from notifhist.store.history.newest import Newest, newest_of_checks
from notifhist.store.history.repetitions import NOT_REPEATED, Repeatable, bearing_values, repeated_since

_MAX_CHARACTERS = 64 * 1024 * 1024
"""What the items of one body may have together: each of a thousand repeats what a notification says once."""


@dataclass
class RecordedItems:
    """The result: the items that are new, how many got attempts, and how many changed nothing, by reason."""

    new: list[Document] = field(default_factory=list)
    merged: int = 0
    unchanged: Counter[str] = field(default_factory=Counter)


class _Place(NamedTuple):
    """An item of a feed, and where it goes."""

    check: CheckPath
    derived: Derived
    draft: ItemDraft


def record_derived(
    db: Database, tenant: str, derived: Iterable[Derived], now_ticks: int, oldest_ms: int | None, dedup_ms: int
) -> RecordedItems:
    """Store a feed's items durably, all of them by their rules, or raise and store none.

    `now_ticks`: 100 ns since the epoch; `oldest_ms`: items of before have expired; `dedup_ms`: for how long an equal
    notification is taken for a repetition. Raises BadRequest if an item is too large to be kept, and RequestTooLarge if
    all of them are together.
    """
    result = RecordedItems()
    places = _places(tenant, derived, result.unchanged)
    if not places:
        return result
    ordered = sorted(places, key=lambda place: place.draft.identity)  # so that two transactions never deadlock
    ITEM_RECORDER.prepare(db, [place.draft for place in ordered], now_ticks, oldest_ms)
    is_plain = all(place.derived.rule is Rule.CREATE for place in places)
    if is_plain and _store_alone(db, places):
        result.new.append(places[0].derived.item)
        return result
    since_ms = now_ticks // TICKS_PER_MS - dedup_ms
    with db.writing():
        if not is_plain:
            db.lock_name(tenant)
        if _store_unless_repeated(db, places, since_ms):
            result.new.append(places[0].derived.item)
            return result
        refused = _refused(db, places, since_ms, result.unchanged)
        taken = [place for place in ordered if place.draft.identity not in refused] if refused else ordered
        if not is_plain and _store_alone(db, taken):
            result.new.append(taken[0].derived.item)
            return result
        _store(db, taken, result)
        if len(result.new) < len(places):
            db.confirm_stored()
    return result


def _store(db: Database, places: Sequence[_Place], result: RecordedItems) -> None:
    """Store those items that are new, and merge the others that are to be merged; note what became of each."""
    stored = ITEM_RECORDER.store(db, [place.draft for place in places])
    merger = Merger(db, result.unchanged)
    for place, (document, is_created) in zip(places, stored, strict=True):
        if is_created:
            result.new.append(place.derived.item)
        elif place.derived.rule is not Rule.MERGE:
            result.unchanged["known"] += 1
        elif merger.merge(place.check, place.draft.key, place.derived.item, document):
            result.merged += 1
    merger.finish()


def _store_alone(db: Database, places: Sequence[_Place]) -> bool:
    """Store an item that is the only one by itself, where that is cheaper; say whether it is stored."""
    return len(places) == 1 and ITEM_RECORDER.store_alone(db, places[0].draft)


def _store_unless_repeated(db: Database, places: Sequence[_Place], since_ms: int) -> bool:
    """Store an item that is the only one, unless it is a repetition, as `_store_alone` does; say whether it is stored.

    Most webhooks are about one alert: to look first and then store costs them a round trip more.
    """
    if len(places) != 1 or not _may_be_repeated(places[0]):
        return False
    values = bearing_values(_transaction_of(places[0])[1], since_ms)
    return ITEM_RECORDER.store_alone(db, places[0].draft, NOT_REPEATED, **values)


def _places(tenant: str, derived: Iterable[Derived], reasons: Counter[str]) -> list[_Place]:
    """Return each item once, in the order of the feed; one that comes again with other attempts has all of them.

    Those that are too many are counted in `reasons`.
    """
    by_identity: dict[Hashable, _Place] = {}
    characters = 0
    for each in derived:
        check = CheckPath(tenant, each.entity_id, each.alarm_id, each.check_id)
        place = _Place(check, each, ItemDraft(check, each.item))
        characters += len(place.draft.document)
        if characters > _MAX_CHARACTERS:
            raise RequestTooLarge("The body is too large.", f"Its items have more than {_MAX_CHARACTERS} characters.")
        earlier = by_identity.setdefault(place.draft.identity, place)
        if earlier is place or each.rule is not Rule.MERGE:
            continue
        both = merged(earlier.derived.item, each.item)
        if lost := dropped([earlier.derived.item, each.item], both or earlier.derived.item):
            reasons["too_many_attempts"] += lost
        if both:
            by_identity[place.draft.identity] = _Place(check, replace(each, item=both), ItemDraft(check, both))
    return list(by_identity.values())


def _refused(db: Database, places: Sequence[_Place], since_ms: int, reasons: Counter[str]) -> set[Hashable]:
    """Return the identities of what is not to be stored because of what its check has; count the reasons."""
    sent = repeated_since(db, {_transaction_of(each) for each in places if _may_be_repeated(each)}, since_ms)
    looked_at = {place.check for place in places if place.derived.rule is Rule.UNLESS_SAME_SUPPRESSION}
    newest = newest_of_checks(db, looked_at)
    refused: set[Hashable] = set()
    for place in places:
        check, derived, draft = place
        if _may_be_repeated(place) and _transaction_of(place) in sent:
            refused.add(draft.identity)
            reasons["repeated"] += 1
        elif check in newest and _is_same_suppression(derived, newest[check]):
            refused.add(draft.identity)
            reasons["same_suppression"] += 1
        else:
            if draft.key.timestamp > since_ms:
                sent.add(_transaction_of(place))
            if check in looked_at:
                candidate = Newest(draft.key, derived.item)
                newest[check] = max(newest.get(check, candidate), candidate, key=lambda each: each.key)
    return refused


def _may_be_repeated(place: _Place) -> bool:
    return place.derived.rule is Rule.UNLESS_REPEATED


def _transaction_of(place: _Place) -> Repeatable:
    return place.check, place.derived.item.get("transaction_id", "")


def _is_same_suppression(derived: Derived, newest: Newest) -> bool:
    if derived.rule is not Rule.UNLESS_SAME_SUPPRESSION:
        return False
    other = newest.item
    return other.get("suppressions") == derived.item["suppressions"] and not other.get("notification_results")
