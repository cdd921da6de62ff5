"""Recording and counting in a line each, for tests that are about something else."""

from collections.abc import Sequence

import orjson

from notifhist.schemas.document import Document
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.query import CheckPath, RunsQuery, Tenant
from notifhist.store.counted.pages import RecordsPage, list_records
from notifhist.store.counted.records import CountedRecorder, Loaded
from notifhist.store.database import Database
from notifhist.store.deliveries.recording import move_recent
from notifhist.store.history.items import ITEM_RECORDER
from notifhist.store.logs import LOG_RECORDER
from notifhist.store.recording import Recorded, record
from notifhist.store.runs import RUN_RECORDER, TABLE
from notifhist.store.tenants import find_tenant


def record_items(
    db: Database, check: CheckPath, items: Sequence[Document], now_ticks: int = 0, oldest_ms: int | None = None
) -> Recorded:
    """Record items of one check."""
    drafts = [ITEM_RECORDER.draft(check, item, now_ticks, n) for n, item in enumerate(items)]
    return record(db, drafts, now_ticks, oldest_ms)


def record_runs(db: Database, tenant: str, runs: Sequence[Loaded], now_ms: int = 0) -> Recorded:
    """Record runs of one tenant, each as the schema loads it."""
    return _record(db, RUN_RECORDER, tenant, runs, now_ms)


def record_logs(db: Database, tenant: str, logs: Sequence[Loaded], now_ms: int = 0) -> Recorded:
    """Record logs of one tenant, each as the schema loads it."""
    return _record(db, LOG_RECORDER, tenant, logs, now_ms)


def _record(db: Database, recorder: CountedRecorder, tenant: str, records: Sequence[Loaded], now_ms: int) -> Recorded:
    now_ticks = now_ms * TICKS_PER_MS
    drafts = [recorder.draft(Tenant(tenant), each, now_ticks, n) for n, each in enumerate(records)]
    return record(db, drafts, now_ticks)


def all_items(db: Database) -> list[tuple[CheckPath, Document]]:
    """Return every check and item."""
    return [(check, orjson.loads(item.text)) for check, item in ITEM_RECORDER.all(db)]


def all_runs(db: Database) -> list[tuple[str, Document]]:
    """Return the name of every tenant and each of its runs."""
    return [(owner.tenant, orjson.loads(run.text)) for owner, run in RUN_RECORDER.all(db)]


def count_items(db: Database) -> int:
    """Return how many items there are, expired or not."""
    return ITEM_RECORDER.count(db)


def count_runs(db: Database) -> int:
    """Return how many runs there are."""
    return RUN_RECORDER.count(db)


def list_runs(db: Database, query: RunsQuery) -> RecordsPage:
    """Return a page of runs."""
    return list_records(db, TABLE, query)


def runs_of(page: RecordsPage) -> list[Document]:
    """Return the runs of a page."""
    runs: list[Document] = orjson.loads(b"[%b]" % b",".join(page.records.pieces))
    return runs


def move_recent_deliveries(db: Database, tenant: str) -> int:
    """Move a tenant's recent deliveries to the others, as recording does now and then; return how many."""
    tenant_id = find_tenant(db, tenant)
    if tenant_id is None:
        return 0
    with db.writing():
        return move_recent(db, tenant_id, tenant)
