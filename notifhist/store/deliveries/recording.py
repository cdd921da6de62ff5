"""How deliveries follow their items: each function belongs into the transaction that changes the item.

A tenant's name is locked before `delivery`, the counts or the names of the tenant are changed; new deliveries need no
lock while they go to `delivery_recent`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.item_ids import ItemKey
from notifhist.store.counted import counts
from notifhist.store.database import Database
from notifhist.store.database.sql import changed, rows
from notifhist.store.deliveries.derive import Delivery
from notifhist.store.deliveries.names import Name, ensure_codes, find_codes
from notifhist.store.deliveries.newest import forget_newest, note_newest
from notifhist.store.deliveries.table import COLUMNS, DELIVERIES, IS_OF_ITEM, NAMED, RECENT
from notifhist.store.history.series import NUMBER_BITS
from notifhist.store.tenants import find_tenant

_COUNT_AFTER = 128
"""A connection counts the recent deliveries of a tenant each time when it has recorded so many."""
_MOVE_FROM = 256
"""So many are moved: it costs less per delivery the more there are, and each question reads all recent ones."""
_DIRECT_FROM = 100
"""So many that are recorded at once are not recent first."""
_LOOK = """SELECT count(*), coalesce(sum(length(search_text)), 0) FROM delivery_recent
WHERE tenant_id = :tenant_id"""
_NAMED_COLUMNS = tuple(each.column for each in NAMED)
_FIRST_CODE = COLUMNS.index("outcome")
_COUNTED = COLUMNS[: _FIRST_CODE + len(DELIVERIES.codes)]
_CODES = slice(_FIRST_CODE, _FIRST_CODE + len(DELIVERIES.codes))

Row = tuple[Any, ...]
"""The values of a delivery's COLUMNS."""


class Derived(NamedTuple):
    """The deliveries of an item, and where the item is."""

    series_id: int
    key: ItemKey
    deliveries: Sequence[Delivery]

    @property
    def tenant_id(self) -> int:
        """The tenant's number, which a series' id begins with."""
        return self.series_id >> NUMBER_BITS


class Replaced(NamedTuple):
    """An item whose deliveries change: where it is, and the deliveries before and after."""

    series_id: int
    key: ItemKey
    old: Sequence[Delivery]
    new: Sequence[Delivery]


def prepare(db: Database, tenant: str, deliveries: Sequence[Delivery]) -> None:
    """Do what can precede the transaction that records: look up codes, and move recent deliveries if they are many."""
    tenant_id = known_tenant(db, tenant)
    if tenant_id is None:
        return
    find_codes(db, tenant_id, _names(deliveries))
    recorded = db.remembered.get(("recent", tenant_id), _COUNT_AFTER)
    if recorded >= _COUNT_AFTER:
        # Before they are moved: if that fails, such as for the lock of the tenant's name, the next ones are recorded
        # none the less. What was moved until then is moved.
        db.remembered["recent", tenant_id] = 0
        number, characters = rows(db, _LOOK, tenant_id=tenant_id)[0]
        if number >= _MOVE_FROM:
            _move_all(db, tenant_id, tenant, number, characters)
            db.give_back_deleted(RECENT.name)


def known_tenant(db: Database, tenant: str) -> int | None:
    """Return a tenant's number, which it keeps; None if nothing of it has been recorded. Not in a transaction."""
    remembered: dict[tuple[str, str], int] = db.remembered
    if (tenant_id := remembered.get(("tenant", tenant))) is None:
        tenant_id = find_tenant(db, tenant)
        if tenant_id is not None:
            remembered["tenant", tenant] = tenant_id
    return tenant_id


def lock_tenants(db: Database, deliveries: Sequence[tuple[str, Sequence[Delivery]]]) -> None:
    """Lock the names of those tenants of whom `insert` will change more than recent deliveries, before any row is."""
    for tenant, some in groupby(sorted(deliveries, key=lambda each: each[0]), key=lambda each: each[0]):
        its = [delivery for _, deliveries in some for delivery in deliveries]
        tenant_id = db.remembered.get(("tenant", tenant))
        if tenant_id is None or codes_without_lock(db, tenant_id, its) is None:
            db.lock_name(tenant)


def insert(db: Database, derived: Sequence[Derived]) -> None:
    """Store the deliveries of new items, or of new versions of items whose old deliveries have been removed."""
    for tenant_id, new in _new_rows(db, derived):
        if len(new) >= _DIRECT_FROM:
            _insert_counted(db, tenant_id, new)
        else:
            db.insert_missing(RECENT, new)
            note_recent(db, tenant_id, len(new))


def insert_counted(db: Database, derived: Sequence[Derived]) -> None:
    """Store deliveries as `insert` does, but however few they are, none is recent first."""
    for tenant_id, new in _new_rows(db, derived):
        _insert_counted(db, tenant_id, new)


def rows_of(derived: Derived, codes: dict[Name, int]) -> Iterator[Row]:
    """Yield the rows of an item's deliveries. `codes`: those of all names."""
    ticks, item_clock_and_node = derived.key
    for each in derived.deliveries:
        yield (
            *(derived.tenant_id, ticks, each.clock_and_node, derived.series_id, item_clock_and_node),
            *(each.log_clock_and_node, int(each.is_change), int(each.is_suppressed), each.outcome),
            *(
                None if name is None else codes[column, name]
                for column, name in zip(_NAMED_COLUMNS, each.names, strict=True)
            ),
            *(each.transaction_hash, each.search_text, each.document, each.log_members),
        )


def codes_without_lock(db: Database, tenant_id: int, deliveries: Sequence[Delivery]) -> dict[Name, int] | None:
    """Return the codes of all names of deliveries, which may be recent ones; None if the tenant's name must be locked.

    It must be for a name that is not remembered, and for so many deliveries that they are counted at once.
    """
    if len(deliveries) >= _DIRECT_FROM:
        return None
    codes = {name: db.remembered.get((tenant_id, name)) for name in _names(deliveries)}
    return codes if all(codes.values()) else None  # type: ignore[return-value]  # no None is among them


def note_recent(db: Database, tenant_id: int, count: int) -> None:
    """Note that recent deliveries were recorded, for `prepare`."""
    db.remembered["recent", tenant_id] = db.remembered.get(("recent", tenant_id), _COUNT_AFTER) + count


def remove(db: Database, series_id: int, key: ItemKey) -> None:
    """Remove the deliveries of an item. The tenant's name has been locked before the item was."""
    removed = _remove(db, series_id, IS_OF_ITEM, {"series_id": series_id, **key._asdict()})
    counts.change(db, DELIVERIES, series_id >> NUMBER_BITS, removed)


def replace(db: Database, replaced: Sequence[Replaced]) -> None:
    """Replace the deliveries of items of one tenant, as far as they differ. Lock the name as for `remove`.

    The counts are changed once for all items: for each by itself, a thousand items take twice the time.
    """
    removed, new = Counter[counts.Change](), list[Derived]()
    for series_id, key, old, after in replaced:
        it = {"series_id": series_id, **key._asdict()}
        if len(old) == len(after):
            differing = [(before, now) for before, now in zip(old, after, strict=True) if before != now]
            for before, _ in differing:
                # +: of the two halves of a key, the index has the item's neighbours.
                condition = f"{IS_OF_ITEM} AND clock_and_node + 0 = :delivery"
                removed.update(_remove(db, series_id, condition, {**it, "delivery": before.clock_and_node}))
            new.append(Derived(series_id, key, [now for _, now in differing]))
        else:  # a further result: the places of the others may have changed
            removed.update(_remove(db, series_id, IS_OF_ITEM, it))
            new.append(Derived(series_id, key, after))
    if new:
        counts.change(db, DELIVERIES, new[0].tenant_id, removed)
        insert(db, new)


def _remove(db: Database, series_id: int, condition: str, values: dict[str, int]) -> Counter[counts.Change]:
    """Remove deliveries, and return what the counts have to follow."""
    of_tenant = {"tenant_id": series_id >> NUMBER_BITS, **values}
    changes = Counter[counts.Change]()
    changed(db, f"DELETE FROM delivery_recent WHERE {condition}", **of_tenant)
    counted = f"SELECT ticks, {', '.join(DELIVERIES.codes)} FROM delivery WHERE {condition}"
    if found := rows(db, counted, **of_tenant):
        db.delete_searchable(DELIVERIES.name, condition, of_tenant)
        forget_newest(db, {name: of_tenant[name] for name in ("tenant_id", "series_id", "ticks", "clock_and_node")})
        for ticks, *codes in found:
            changes[ticks // TICKS_PER_MS, tuple(codes)] -= 1
    return changes


def move_recent(db: Database, tenant_id: int, tenant: str, characters: int = 0) -> int:
    """Move a tenant's recent deliveries to the others; return how many. In a transaction that writes.

    `characters`: how long their texts are together; of many the first are moved alone (`Database.move_searchable`).
    """
    db.lock_name(tenant)
    moved = db.move_searchable(RECENT, DELIVERIES.name, tenant_id, _COUNTED, characters)
    _count(db, tenant_id, moved)
    return len(moved)


def _move_all(db: Database, tenant_id: int, tenant: str, number: int, characters: int) -> None:
    """Move so many recent deliveries; if they are long, by several transactions: other writers get their turn."""
    moved = 1
    while moved and number > 0:
        with db.writing():
            moved = move_recent(db, tenant_id, tenant, characters)
        number -= moved


def _new_rows(db: Database, derived: Sequence[Derived]) -> Iterator[tuple[int, list[Row]]]:
    """Yield tenants and the rows of their deliveries, whose names get codes."""
    for tenant_id, some in groupby(sorted(derived, key=lambda each: each.tenant_id), key=lambda each: each.tenant_id):
        its = list(some)
        codes = ensure_codes(db, tenant_id, _names([delivery for each in its for delivery in each.deliveries]))
        yield tenant_id, [row for each in its for row in rows_of(each, codes)]


def _insert_counted(db: Database, tenant_id: int, new: Sequence[Row]) -> None:
    db.insert_searchable(DELIVERIES.name, COLUMNS, new)
    _count(db, tenant_id, new)


def _count(db: Database, tenant_id: int, new: Sequence[Row]) -> None:
    """Have newest items and counts follow deliveries that have been inserted: at least the columns _COUNTED."""
    note_newest(db, new)
    counts.change(db, DELIVERIES, tenant_id, Counter((row[1] // TICKS_PER_MS, row[_CODES]) for row in new))


def _names(deliveries: Sequence[Delivery]) -> set[Name]:
    """Return all names of deliveries."""
    # Column by column: most have few different names.
    columns = zip(_NAMED_COLUMNS, map(set, zip(*(each.names for each in deliveries), strict=True)), strict=False)
    return {(column, name) for column, names in columns for name in names if name is not None}
