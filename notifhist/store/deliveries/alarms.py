"""The alarms of a tenant, with what the newest deliveries say of each. Contract: docs/pages.md, "Alarms".

`oldest_ms` is the time before which everything has expired, ms since the epoch, UTC; None if nothing ever does. The
cost grows with the number of alarms, not with their history: the newest item of each series is kept (`newest`).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from types import MappingProxyType
from typing import NamedTuple

from notifhist.errors import NotFound
from notifhist.schemas.deliveries import FAILED, OUTCOMES
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.query import AlarmPath
from notifhist.store.database import Database
from notifhist.store.database.sql import Row, rows, rows_of_each
from notifhist.store.deliveries.names import names_of
from notifhist.store.deliveries.recording import known_tenant
from notifhist.store.deliveries.selection import MAIN, RECENT
from notifhist.store.deliveries.table import NAMED
from notifhist.store.history.series import alarm_digest
from notifhist.store.time_ranges import low_ticks

MAX_SERIES = 20_000
"""So many series of a tenant are looked at, those that are first by id."""
MAX_COUNTED = 100
"""Failures of a check are counted up to this number."""
MAX_LOOKED_AT = 200
"""So many deliveries of a check are looked at for its newest change, from the newest one back."""
_FEW = 10
"""So many are looked at first: most checks have changed among them."""
_STATE = next(each for each in NAMED if each.column == "state")
_FAILED_CODE = OUTCOMES.index(FAILED) + 1

_SERIES = """SELECT id, entity_id, alarm_id, check_id, ticks, clock_and_node, state FROM series
    LEFT JOIN series_newest AS newest
    ON newest.tenant_id = series.tenant_id AND newest.series_id = series.id AND ticks >= :low
    WHERE series.tenant_id = :tenant_id {only} ORDER BY {entity_id}, {alarm_id}, id LIMIT :most"""
_ONE_ALARM = "AND alarm_digest = :alarm_digest"
_RECENT = f"""SELECT series_id, ticks, item_clock_and_node, coalesce(state, 0), outcome, is_change, is_suppressed
    FROM {RECENT} WHERE tenant_id = :tenant_id AND ticks >= :low"""

_KEY = {"series_id": "bigint", "ticks": "bigint", "clock_and_node": "bigint"}
_ID = {"series_id": "bigint"}
# CROSS JOIN: the parameters come first, and each is a seek.
_OUTCOMES = f"""SELECT param.series_id, outcome, is_suppressed FROM {{param}} CROSS JOIN {MAIN}
    WHERE tenant_id = :tenant_id AND {MAIN}.series_id = param.series_id AND {MAIN}.ticks = param.ticks
        AND item_clock_and_node = param.clock_and_node"""
_OF_SERIES = f"FROM {MAIN} WHERE tenant_id = :tenant_id AND series_id = param.series_id"
_CHANGED = f"""SELECT param.series_id, (SELECT max(ticks) FROM (SELECT ticks, is_change {_OF_SERIES}
    ORDER BY ticks DESC, clock_and_node DESC LIMIT :count) AS newest WHERE is_change = 1) FROM {{param}}"""
_FAILURES = f"""SELECT param.series_id, (SELECT count(*) FROM (SELECT 1 {_OF_SERIES}
    AND ticks >= :low AND outcome = {_FAILED_CODE} LIMIT {MAX_COUNTED}) AS failed) FROM {{param}}"""


class Newest(NamedTuple):
    """The newest item of a check: its key, and the code of its state."""

    ticks: int
    clock_and_node: int
    state: int


class Check(NamedTuple):
    """A check of an alarm: its series, and its newest item."""

    check_id: str
    series_id: int
    newest: Newest


@dataclass(frozen=True)
class Alarm:
    """An alarm that has history, with the state and the time (ms since the epoch) of its newest item."""

    path: AlarmPath
    state: str
    timestamp: int
    checks: tuple[Check, ...]
    """Those that have history; the one with the newest item comes first."""
    states: Mapping[str, str]
    """The newest state of each check, by the check's id."""


@dataclass(frozen=True)
class AlarmDetails:
    """What the deliveries of an alarm say."""

    outcomes: tuple[str, ...]
    """Those of the deliveries of the newest item."""
    is_suppressed: bool
    """Whether the newest item was held back on purpose."""
    since_ms: int | None
    """When the state of the newest check changed last; None if that was before the MAX_LOOKED_AT newest deliveries."""
    failures: int
    """Failed deliveries; of each check MAX_COUNTED at most."""


class Alarms(NamedTuple):
    """The alarms of a tenant."""

    found: list[Alarm]
    cut_at: int | None
    """How many series were looked at, if there are more: of the others nothing is known."""


def list_alarms(
    db: Database,
    tenant: str,
    oldest_ms: int | None,
    is_wanted: Callable[[AlarmPath], bool] = lambda alarm: True,
    is_state_wanted: Callable[[str], bool] = lambda state: True,
) -> Alarms:
    """Return the alarms that have history and are wanted, by entity and alarm, sorted by code point.

    Alarms in states that are not wanted cost a fifth of the others.
    """
    return _read(db, tenant, oldest_ms, _Wanted(is_wanted, is_state_wanted))


def find_alarm(db: Database, path: AlarmPath, oldest_ms: int | None) -> Alarm:
    """Return an alarm. Raises NotFound if it has no history."""
    wanted = _Wanted(path.__eq__, only=_ONE_ALARM, values={"alarm_digest": alarm_digest(path)})
    found, _ = _read(db, path.tenant, oldest_ms, wanted)
    if not found:
        raise NotFound("No such alarm.", f"{path.alarm_id} of {path.entity_id} has no history.")
    return found[0]


class _Wanted(NamedTuple):
    """Which alarms are wanted; `only` is a condition of SQL for their series, with its values."""

    is_path: Callable[[AlarmPath], bool]
    is_state: Callable[[str], bool] = lambda state: True
    only: str = ""
    values: Mapping[str, str] = MappingProxyType({})


def _read(db: Database, tenant: str, oldest_ms: int | None, wanted: _Wanted) -> Alarms:
    """Return the wanted alarms."""
    if (tenant_id := known_tenant(db, tenant)) is None:
        return Alarms([], None)
    low = low_ticks(oldest_ms)
    series = _SERIES.format(only=wanted.only, **{name: db.by_code_point(name) for name in ("entity_id", "alarm_id")})
    found: list[tuple[AlarmPath, list[Check]]] = []
    with db.reading():
        recent = {series_id: Newest(*key) for series_id, *key, _, _, _ in sorted(_recent(db, tenant_id, low))}
        listed = rows(db, series, tenant_id=tenant_id, low=low, most=MAX_SERIES + 1, **wanted.values)
        codes = {row[-1] for row in listed} | {each.state for each in recent.values()}
        names = {0: "", **names_of(db, tenant_id, _STATE, codes - {0, None})}
    states = {code for code, name in names.items() if wanted.is_state(name)}
    for (entity_id, alarm_id), some in groupby(listed[:MAX_SERIES], key=itemgetter(1, 2)):
        its = list(some)
        if not any(row[0] in recent or row[-1] in states for row in its):
            continue
        path = AlarmPath(tenant, entity_id, alarm_id)
        if wanted.is_path(path) and (checks := list(_checks(its, recent))):
            checks.sort(key=lambda each: each.newest, reverse=True)
            if checks[0].newest.state in states:
                found.append((path, checks))
    return Alarms(
        [_alarm(path, checks, names) for path, checks in found], MAX_SERIES if len(listed) > MAX_SERIES else None
    )


def find_details(db: Database, alarms: Sequence[Alarm], since_ms: int) -> list[AlarmDetails]:
    """Return the details of some alarms of a tenant, with the failures since a time (ms since the epoch)."""
    if not alarms or (tenant_id := known_tenant(db, alarms[0].path.tenant)) is None:
        return []
    values = {"tenant_id": tenant_id, "low": low_ticks(since_ms)}
    newest = [(each.checks[0].series_id, *each.checks[0].newest[:2]) for each in alarms]
    series = [(check.series_id,) for each in alarms for check in each.checks]
    outcomes: dict[int, set[int]] = defaultdict(set)
    suppressed: set[int] = set()
    with db.reading():
        for series_id, code, is_suppressed in rows_of_each(db, _OUTCOMES, _KEY, newest, tenant_id=tenant_id):
            outcomes[series_id].add(code)
            suppressed |= {series_id} if is_suppressed else set()
        changed = _changes(db, tenant_id, [key[0] for key in newest])
        failures: Counter[int] = Counter(dict(rows_of_each(db, _FAILURES, _ID, series, **values)))
        recent = _recent(db, tenant_id, low_ticks(None))
    for series_id, *key, _, outcome, is_change, is_suppressed in recent:
        if (series_id, *key) in newest:
            outcomes[series_id].add(outcome)
            suppressed |= {series_id} if is_suppressed else set()
        if is_change:
            changed[series_id] = max(changed.get(series_id, 0), key[0])
        failures[series_id] += outcome == _FAILED_CODE and key[0] >= values["low"]
    return [
        AlarmDetails(
            tuple(OUTCOMES[code - 1] for code in sorted(outcomes[newest_id])),
            newest_id in suppressed,
            changed[newest_id] // TICKS_PER_MS if changed[newest_id] else None,
            sum(min(failures[check.series_id], MAX_COUNTED) for check in alarm.checks),
        )
        for alarm in alarms
        for newest_id in [alarm.checks[0].series_id]
    ]


def _changes(db: Database, tenant_id: int, series_ids: Sequence[int]) -> dict[int, int]:
    """Return the ticks of the newest change of each series, among its newest deliveries; 0 where there is none."""
    changed = dict.fromkeys(series_ids, 0)
    for count in (_FEW, MAX_LOOKED_AT):
        left = [(series_id,) for series_id, ticks in changed.items() if not ticks]
        found = rows_of_each(db, _CHANGED, _ID, left, tenant_id=tenant_id, count=count)
        changed |= {series_id: ticks or 0 for series_id, ticks in found}
    return changed


def _checks(its_series: Iterable[Row], recent: Mapping[int, Newest]) -> Iterator[Check]:
    """Yield those checks of an alarm that have history; a series comes with its newest item among the main ones."""
    for series_id, _, _, check_id, *key in its_series:
        newest = [Newest(*key)] if key[0] is not None else []
        if series_id in recent:
            newest.append(recent[series_id])
        if newest:
            yield Check(check_id, series_id, max(newest))


def _alarm(path: AlarmPath, checks: Sequence[Check], names: Mapping[int, str]) -> Alarm:
    newest = checks[0].newest
    states = {check.check_id: names[check.newest.state] for check in checks}
    return Alarm(path, names[newest.state], newest.ticks // TICKS_PER_MS, tuple(checks), states)


def _recent(db: Database, tenant_id: int, low: int) -> list[Row]:
    """Return the recent deliveries since a tick, of all series: they are a few hundred at most."""
    return rows(db, _RECENT, tenant_id=tenant_id, low=low)
