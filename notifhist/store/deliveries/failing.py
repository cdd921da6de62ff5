"""Since when receivers fail. Contract: docs/pages.md, "What is there".

The counts lead to the newest part of time with a success, and an index to the first failure behind it: what it costs
does not depend on how often, or for how long, a receiver has failed.
"""

from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

from notifhist.schemas.deliveries import FAILED, OUTCOMES, SENT
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.store.counted.newest import newest_parts
from notifhist.store.counted.ranges import Range
from notifhist.store.database import Database
from notifhist.store.database.sql import rows, rows_of_each
from notifhist.store.deliveries.derive import receiver_name
from notifhist.store.deliveries.names import find_codes
from notifhist.store.deliveries.recording import known_tenant
from notifhist.store.deliveries.selection import MAIN, RECENT
from notifhist.store.deliveries.table import DELIVERIES, OUTCOME, RECEIVER
from notifhist.store.time_ranges import low_ticks

_SENT_CODE, _FAILED_CODE = (OUTCOMES.index(each) + 1 for each in (SENT, FAILED))
_PARAM = {"wanted": "bigint", "low": "bigint", "high": "bigint"}
_OF_RECEIVER = "WHERE tenant_id = :tenant_id AND receiver = wanted AND ticks > low AND ticks < high"
_NEWEST_SUCCESS = f"""SELECT ticks FROM {{delivery}} {_OF_RECEIVER} AND outcome = {_SENT_CODE}
    ORDER BY ticks DESC LIMIT 1"""
_RECENT = (
    f"SELECT receiver, ticks, outcome FROM {RECENT} WHERE tenant_id = :tenant_id AND ticks > :low AND ticks < :high"
)


class Receiver(NamedTuple):
    """A receiver, by all that is known of it."""

    notification_id: str | None
    notification_type: str | None
    target: str | None


class Failing(NamedTuple):
    """How long a receiver has failed. Times in ms since the epoch."""

    last_success: int | None
    """When a delivery to it was sent last; None: never, as far as deliveries are kept."""
    since: int | None
    """When the first delivery after that failed; None: none has."""


def failing_since(
    db: Database, tenant: str, receivers: Sequence[Receiver], now_ms: int, oldest_ms: int | None
) -> list[Failing]:
    """Return since when each of some receivers fails, by what was until now: a sender's clock may be ahead of ours.

    `oldest_ms`: what is older has expired; None if nothing has.
    """
    if not receivers or (tenant_id := known_tenant(db, tenant)) is None:
        return [Failing(None, None)] * len(receivers)
    names = [(RECEIVER.column, receiver_name(*each) or "") for each in receivers]
    codes = find_codes(db, tenant_id, names)
    wanted = set(codes.values())
    low, high = low_ticks(oldest_ms) - (oldest_ms is not None), (now_ms + 1) * TICKS_PER_MS
    with db.reading():
        recent = rows(db, _RECENT, tenant_id=tenant_id, low=low, high=high)
        successes = _last_successes(db, tenant_id, wanted, Range(oldest_ms or 0, now_ms + 1), low)
        for code, ticks, outcome in recent:
            if outcome == _SENT_CODE and code in wanted:
                successes[code] = max(successes.get(code, ticks), ticks)
        failures = _first_failures(db, tenant_id, {each: successes.get(each, low) for each in wanted}, high)
    for code, ticks, outcome in recent:
        if outcome == _FAILED_CODE and code in wanted and ticks > successes.get(code, low):
            failures[code] = min(failures.get(code, ticks), ticks)
    return [Failing(_ms(successes.get(codes.get(each, 0))), _ms(failures.get(codes.get(each, 0)))) for each in names]


def _last_successes(db: Database, tenant_id: int, codes: Set[int], within: Range, low: int) -> dict[int, int]:
    """Return the ticks of the newest success of each receiver that has one; of recent ones it knows nothing."""
    newest, found = _NEWEST_SUCCESS.format(delivery=db.by_index(MAIN, f"{MAIN}_time")), dict[int, int]()
    while codes:
        parts = _parts_of_successes(db, tenant_id, codes, within)
        wanted = [
            (code, max(part.begin * TICKS_PER_MS - 1, low), min(part.end, within.end) * TICKS_PER_MS)
            for code, part in parts.items()
        ]
        found |= _of_receivers(db, tenant_id, newest, wanted)
        # A part that holds the end may have successes of after it alone: then the newest one is before that part.
        codes = {code for code, part in parts.items() if part.end > within.end} - found.keys()
        within = Range(within.begin, max((parts[code].begin for code in codes), default=within.end))
    return found


def _parts_of_successes(db: Database, tenant_id: int, codes: Set[int], within: Range) -> dict[int, Range]:
    """Return for each receiver the newest part of time that has a success, which may be after the range."""
    sent = DELIVERIES.term(OUTCOME, _SENT_CODE)
    pairs = {(sent, DELIVERIES.term(RECEIVER, code)): code for code in codes}
    return {pairs[pair]: part for pair, part in newest_parts(db, DELIVERIES, tenant_id, pairs, within).items()}


def _first_failures(db: Database, tenant_id: int, after: Mapping[int, int], high: int) -> dict[int, int]:
    """Return the ticks of the first failure of each receiver between two ticks; of recent ones it knows nothing."""
    oldest = f"""SELECT ticks FROM {db.by_index(MAIN, f"{MAIN}_receiver")} {_OF_RECEIVER} AND outcome = {_FAILED_CODE}
        ORDER BY ticks, clock_and_node LIMIT 1"""
    return _of_receivers(db, tenant_id, oldest, [(code, low, high) for code, low in after.items()])


def _of_receivers(db: Database, tenant_id: int, select: str, wanted: Sequence[tuple[int, int, int]]) -> dict[int, int]:
    """Return the ticks that a query finds for receivers, by their codes, each between two ticks."""
    found = rows_of_each(db, f"SELECT wanted, ({select}) FROM {{param}}", _PARAM, wanted, tenant_id=tenant_id)
    return {code: ticks for code, ticks in found if ticks is not None}


def _ms(ticks: int | None) -> int | None:
    return None if ticks is None else ticks // TICKS_PER_MS
