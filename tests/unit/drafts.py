"""Drafts of short items, runs and logs, and recording them in a line."""

from collections.abc import Sequence
from typing import Any

import orjson

from notifhist.schemas.document import Document
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.logs import LOG
from notifhist.schemas.query import CheckPath, Tenant
from notifhist.schemas.runs import RUN
from notifhist.store.database import Database
from notifhist.store.history.items import ITEM_RECORDER
from notifhist.store.logs import LOG_RECORDER
from notifhist.store.recording import Draft, Recorded, record
from notifhist.store.runs import RUN_RECORDER
from tests.conftest import NOW_MS
from tests.http.helpers import item_at, log_of, run_of

CHECK = CheckPath("t", "e", "a", "c")
NOW_TICKS = NOW_MS * TICKS_PER_MS


def item(number: int = 0, check: CheckPath = CHECK, **members: Any) -> Draft:
    draft: Draft = ITEM_RECORDER.draft(check, item_at(NOW_MS, number, **members), NOW_TICKS)
    return draft


def run(run_id: int | None = None, tenant: str = "t", ordinal: int = 0, **members: Any) -> Draft:
    given = run_of(**members) if run_id is None else run_of(id=run_id, **members)
    draft: Draft = RUN_RECORDER.draft(Tenant(tenant), RUN.load(given), NOW_TICKS, ordinal)
    return draft


def log(log_id: int, tenant: str = "t", **members: Any) -> Draft:
    draft: Draft = LOG_RECORDER.draft(Tenant(tenant), LOG.load(log_of(id=log_id, **members)), NOW_TICKS)
    return draft


def record_now(db: Database, drafts: Sequence[Draft], **options: bool) -> Recorded:
    return record(db, drafts, NOW_TICKS, **options)


def ids_of(documents: Sequence[str]) -> list[Any]:
    return [orjson.loads(document)["id"] for document in documents]


def drafts_of(items: Sequence[Document], check: CheckPath = CHECK) -> list[Draft]:
    return [ITEM_RECORDER.draft(check, item, NOW_TICKS) for item in items]
