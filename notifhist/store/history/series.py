"""The series: which items are a check's. A series is found by its alarm and its check, and has a number."""

import hashlib
from typing import Any

import orjson

from notifhist.schemas.query import AlarmPath, CheckPath
from notifhist.store.database import Database
from notifhist.store.models import SeriesRow
from notifhist.store.sql import Statement, given
from notifhist.store.tenants import ensure_tenant, numbers_of

_NUMBER_BITS = 32  # behind the tenant's number


def ensure_series(db: Database, check: CheckPath) -> int:
    """Return the id of the check's series, creating the series if this is its first item."""
    values = check_values(check)
    for (series_id,) in _FIND.rows(db, **values):
        return int(series_id)
    db.lock_name(check.tenant)
    for (series_id,) in _FIND.rows(db, **values):  # somebody has created it meanwhile
        return int(series_id)
    tenant_id = ensure_tenant(db, check.tenant)
    first, last = numbers_of(tenant_id, _NUMBER_BITS)
    greatest = next((n for (n,) in _LAST.rows(db, first=first, last=last)), first)
    SeriesRow.insert(
        id=greatest + 1,
        tenant_id=tenant_id,
        entity_id=check.entity_id,
        alarm_id=check.alarm_id,
        **values,
    ).execute(db)
    return int(greatest) + 1


def check_values(check: CheckPath) -> dict[str, str]:
    """Return the values by which a statement finds the check's series."""
    return {"alarm_digest": alarm_digest(check), "check_id": check.check_id}


def alarm_digest(alarm: AlarmPath) -> str:
    """Return what stands for the ids of an alarm and those above it."""
    ids = orjson.dumps([alarm.tenant, alarm.entity_id, alarm.alarm_id])
    return hashlib.sha256(ids).hexdigest()


def is_of_given_check(series_id: Any) -> Any:
    """Return the condition that the column `series_id` is that of the check whose `check_values` are given."""
    return series_id == _find()


def series_of(check: CheckPath) -> Any:
    """Return the subquery for the id of the check's series."""
    values = check_values(check)
    return SeriesRow.select(SeriesRow.id).where(
        SeriesRow.alarm_digest == values["alarm_digest"], SeriesRow.check_id == values["check_id"]
    )


def _find() -> Any:
    return SeriesRow.select(SeriesRow.id).where(
        SeriesRow.alarm_digest == given("alarm_digest"), SeriesRow.check_id == given("check_id")
    )


_FIND = Statement(lambda db: _find())
_LAST = Statement(
    lambda db: (
        SeriesRow.select(SeriesRow.id)
        .where(SeriesRow.id.between(given("first"), given("last")))
        .order_by(SeriesRow.id.desc())
        .limit(1)
    )
)
