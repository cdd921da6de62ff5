"""The series: all items of a check. A series is found by its alarm and its check, and has a number as its id."""

import hashlib
from collections.abc import Collection
from itertools import count, groupby
from operator import attrgetter

import orjson

from notifhist.schemas.query import AlarmPath, CheckPath
from notifhist.store.database import Database
from notifhist.store.database.sql import first, lookup, remember, rows_of_each
from notifhist.store.tenants import TENANT_ID, ensure_tenant

NUMBER_BITS = 32
"""A series' id is its tenant's number, followed by this many bits for the series' own number."""

IS_SERIES = f"tenant_id = {TENANT_ID} AND alarm_digest = :alarm_digest AND check_id = :check_id"
"""The condition for the series of a check whose `check_values` are the parameters."""
_FIND = f"SELECT id FROM series WHERE {IS_SERIES}"
SERIES_ID = lookup(_FIND)
"""The id of that series."""

_PARAM_COLUMNS = {"n": "bigint", "tenant": "text", "digest": "text", "check_id": "text"}
_FIND_EACH = """SELECT param.n, series.id FROM {param} JOIN tenant ON tenant.name = param.tenant
JOIN series ON series.tenant_id = tenant.id AND series.alarm_digest = param.digest
    AND series.check_id = param.check_id"""
_INSERT = """INSERT INTO series (tenant_id, id, entity_id, alarm_id, check_id, alarm_digest)
VALUES (:tenant_id, :id, :entity_id, :alarm_id, :check_id, :alarm_digest)"""
_REMEMBERED = 10_000
"""So many series are remembered for a connection: one with the longest ids takes some kB."""
_LAST = "SELECT id FROM series WHERE tenant_id = :tenant_id ORDER BY id DESC LIMIT 1"


def check_values(check: CheckPath) -> dict[str, str]:
    """Return the values by which SQL finds the check's series."""
    return {"tenant": check.tenant, "alarm_digest": alarm_digest(check), "check_id": check.check_id}


def alarm_digest(alarm: AlarmPath) -> str:
    """Return a digest of the ids of an entity and an alarm."""
    return hashlib.sha256(orjson.dumps([alarm.entity_id, alarm.alarm_id])).hexdigest()


def find_series(db: Database, checks: Collection[CheckPath]) -> dict[CheckPath, int]:
    """Return the ids of the series that exist, by check."""
    if len(checks) == 1:
        (check,) = checks
        found = first(db, _FIND, **check_values(check))
        return {check: found[0]} if found else {}
    numbered = list(checks)
    values = [(n, *check_values(check).values()) for n, check in enumerate(numbered)]
    return {numbered[n]: series_id for n, series_id in rows_of_each(db, _FIND_EACH, _PARAM_COLUMNS, values)}


def known_series(db: Database, check: CheckPath) -> int | None:
    """Return the id of a check's series, which it keeps; None if it has none. Not in a transaction that has written."""
    remembered: dict[CheckPath, int] = db.remembered.setdefault("series", {})
    if (series_id := remembered.get(check)) is None:
        series_id = find_series(db, {check}).get(check)
        if series_id is not None:
            remember(remembered, {check: series_id}, _REMEMBERED)
    return series_id


def ensure_series(db: Database, checks: Collection[CheckPath]) -> dict[CheckPath, int]:
    """Return the id of each check's series; a series is created with the first item of its check."""
    series = find_series(db, checks)
    missing = sorted((check for check in checks if check not in series), key=attrgetter("tenant"))
    for tenant, some in groupby(missing, key=attrgetter("tenant")):
        db.lock_name(tenant)
        its_checks = list(some)
        series |= find_series(db, its_checks)  # another transaction may have created some meanwhile
        tenant_id = ensure_tenant(db, tenant)
        last = first(db, _LAST, tenant_id=tenant_id)
        greatest = last[0] if last else tenant_id << NUMBER_BITS
        new = dict(zip((check for check in its_checks if check not in series), count(greatest + 1)))
        db.execute_many(_INSERT, [_row(tenant_id, series_id, check) for check, series_id in new.items()])
        series |= new
    return series


def _row(tenant_id: int, series_id: int, check: CheckPath) -> dict[str, object]:
    """Return the values of _INSERT."""
    ids = {"entity_id": check.entity_id, "alarm_id": check.alarm_id, "check_id": check.check_id}
    return {"tenant_id": tenant_id, "id": series_id, **ids, "alarm_digest": alarm_digest(check)}
