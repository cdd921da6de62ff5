"""The notification runs of a tenant. A run is kept as the document that it is answered as, beside what finds it.

What is given to record is a run as its schema loads it: a dict by the schema's names, times in ms since the
epoch, UTC. Contract: docs/contract.md, "Notification runs" and "Recording".
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from notifhist.errors import BadRequest, NotFound, RunConflict
from notifhist.schemas.document import Document, dump
from notifhist.schemas.fields import INT64
from notifhist.schemas.runs import RUN
from notifhist.serializers import as_json
from notifhist.serializers.stored import StoredDocument, StoredForm, encoded
from notifhist.store.counts import keeping as run_counts
from notifhist.store.database import Database
from notifhist.store.equality import same_json
from notifhist.store.models import NotificationRunRow, TenantRow
from notifhist.store.runs.filters import FILTERS, codes_of
from notifhist.store.runs.pages import RunsPage, list_runs
from notifhist.store.sql import Statement, given
from notifhist.store.tenants import ensure_tenant, numbers_of

__all__ = ["RunsPage", "list_runs"]

Run = dict[str, Any]
"""A run as its schema loads it."""
Row = tuple[Any, ...]
"""What is kept of a run; see `row_of`."""

_BETWEEN = "X"
"""Parts the texts that a search looks through: no case-folded text has an upper-case letter, so no search
can match across two of them."""
_FIND_BATCH, _READ_BATCH = 1000, 500  # rows of one statement
_OBJECTS = "notificationObjects"


def get_run(db: Database, tenant: str, run_id: int) -> StoredDocument:
    """Return a run with its objects. Raises NotFound."""
    for (document,) in _GET.rows(db, tenant=tenant, id=run_id):
        return StoredDocument(StoredForm.JSON, encoded(document))
    raise NotFound("No such run.", f"{run_id} is none of the tenant's runs.")


def record_runs(
    db: Database, tenant: str, runs: Sequence[Run], now_ms: int
) -> tuple[tuple[Document, ...], int]:
    """Record runs, all or none; return the documents, and how many were not there before.

    A run that is there already with the same content stays as it is. Raises RunConflict where its content
    differs.
    """
    with db.writing():
        db.lock_name(tenant)  # so that no number is given twice, and no count is added up twice
        tenant_id = ensure_tenant(db, tenant)
        complete = _with_ids(db, tenant_id, runs)
        known = _find(db, tenant_id, [run["id"] for run in complete])
        new: dict[int, Run] = {}
        documents = dict(known)
        for run in complete:
            whole = filled(run, known.get(run["id"]), now_ms)
            document = dump(RUN, whole)
            if not same_json(documents.setdefault(run["id"], document), document):
                raise RunConflict(details=f"{run['id']} is there already; PUT replaces it.")
            if run["id"] not in known:
                new.setdefault(run["id"], whole)
        insert_rows(db, tenant_id, [row_of(run, documents[run_id]) for run_id, run in new.items()])
    return tuple(documents[run["id"]] for run in complete), len(new)


def replace_run(db: Database, tenant: str, run: Run, now_ms: int) -> tuple[Document, bool]:
    """Create the run of this id or replace it; return the document, and whether it was created."""
    whole = filled(run, None, now_ms)
    document = dump(RUN, whole)
    with db.writing():
        db.lock_name(tenant)
        tenant_id = ensure_tenant(db, tenant)
        for known in _KNOWN.rows(db, tenant_id=tenant_id, id=run["id"]):
            _replace(db, tenant_id, known, whole, document)
            return document, False
        insert_rows(db, tenant_id, [row_of(whole, document)])
    return document, True


def all_runs(db: Database) -> Iterator[tuple[str, StoredDocument]]:
    """Yield every tenant and run, tenant by tenant and by id; memory stays flat."""
    tenants = TenantRow.select(TenantRow.id, TenantRow.name).order_by(TenantRow.name).tuples().execute(db)
    for tenant_id, tenant in list(tenants):
        from_id: int | None = INT64[0]
        while from_id is not None:
            rows = _FROM.rows(db, tenant_id=tenant_id, from_id=from_id)
            for _, document in rows[:_READ_BATCH]:
                yield tenant, StoredDocument(StoredForm.JSON, encoded(document))
            from_id = rows[_READ_BATCH][0] if len(rows) > _READ_BATCH else None


def count_runs(db: Database) -> int:
    """Return how many runs there are."""
    count: int = NotificationRunRow.select().count(db)
    return count


def _with_ids(db: Database, tenant_id: int, runs: Sequence[Run]) -> list[Run]:
    """Return the runs, those without an id with the next numbers."""
    if all("id" in run for run in runs):
        return list(runs)
    last = [run_id for (run_id,) in _LAST_ID.rows(db, tenant_id=tenant_id)]
    greatest = max([*(run["id"] for run in runs if "id" in run), *last, 0])
    complete = []
    for run in runs:
        if "id" not in run:
            greatest += 1
            if greatest > INT64[1]:
                raise BadRequest(
                    "The run needs an id.", "id: No number is left behind the greatest; give one."
                )
            run = {**run, "id": greatest}
        complete.append(run)
    return complete


def filled(run: Run, known: Document | None, now_ms: int) -> Run:
    """Return `run` with the members that are always there.

    Those that it leaves out are taken from the `known` document of its id, so that sending a run again is no
    conflict only because time has passed.
    """
    date_created = run.get("date_created", now_ms)
    defaults = {"date_created": date_created, "date_updated": date_created, "delivered_count": 0, "seq_no": 0}
    if known is not None:
        loaded = RUN.load(known)
        defaults = {name: loaded[name] for name in defaults}
    return dict.fromkeys(RUN.fields) | defaults | run


def _find(db: Database, tenant_id: int, run_ids: list[int]) -> dict[int, Document]:
    row = NotificationRunRow
    runs: dict[int, Document] = {}
    for start in range(0, len(run_ids), _FIND_BATCH):
        some = run_ids[start : start + _FIND_BATCH]
        query = row.select(row.id, row.document).where(row.tenant_id == tenant_id, row.id << some)
        runs.update((run_id, orjson.loads(document)) for run_id, document in query.tuples().execute(db))
    return runs


def row_of(run: Run, document: Document) -> Row:
    """Return what is kept of a run with all its members: id, date, codes, search text, and its two texts."""
    return *_found_by(run), *_texts(document)


def insert_rows(db: Database, tenant_id: int, rows: Sequence[Row]) -> None:
    """Insert runs that are not there, in a transaction that has locked the tenant's name."""
    first, last = numbers_of(tenant_id, 40)
    greatest = next((n for (n,) in _LAST_NUMBER.rows(db, first=first, last=last)), first)
    numbered = [(number, tenant_id, *row) for number, row in enumerate(rows, start=greatest + 1)]
    db.execute_many(_INSERT, numbered)
    db.index_texts([(row[0], row[-3]) for row in numbered])
    changes = Counter((date_created, tuple(codes)) for _, date_created, *codes, _, _, _ in rows)
    run_counts.change(db, tenant_id, changes)


def _replace(db: Database, tenant_id: int, known: Sequence[Any], run: Run, document: Document) -> None:
    """Put a run in the place of a `known` one: its number, search text, date and codes."""
    number, search_text, date_created, *codes = known
    db.forget_texts([(number, search_text)])
    changes = Counter[run_counts.Change]({(date_created, tuple(codes)): -1})
    changes[run["date_created"], codes_of(run)] += 1
    db.execute_many(_UPDATE, [(*row_of(run, document), number)])
    db.index_texts([(number, _search_text(run))])
    run_counts.change(db, tenant_id, changes)


def _found_by(run: Run) -> tuple[Any, ...]:
    """Return id, date and codes of a run, and its search text: what finds it."""
    return run["id"], run["date_created"], *codes_of(run), _search_text(run)


def _texts(document: Document) -> tuple[str | None, str]:
    """Return the two texts that are kept of a run: without its objects, if it has any, and whole."""
    if _OBJECTS not in document:
        return None, as_json.text(document)
    brief = {name: value for name, value in document.items() if name != _OBJECTS}
    return as_json.text(brief), as_json.text(document)


def _search_text(run: Run) -> str:
    texts = [run["error_message"], run["summary"]]
    for about in run["notification_objects"] or ():
        texts += [about["name"], about.get("tag")]
    return _BETWEEN.join(text.casefold() for text in texts if text)


_row = NotificationRunRow
_codes = [each.column for each in FILTERS]
_COLUMNS = ("id", "date_created", *_codes, "search_text", "brief", "document")
_INSERT = (
    f"INSERT INTO notification_run (number, tenant_id, {', '.join(_COLUMNS)}) "  # noqa: S608 - our own names
    f"VALUES ({', '.join('?' * (2 + len(_COLUMNS)))})"
)
_UPDATE = f"UPDATE notification_run SET {', '.join(f'{name} = ?' for name in _COLUMNS)} WHERE number = ?"  # noqa: S608
_GET = Statement(
    lambda db: (
        _row.select(_row.document)
        .join(TenantRow, on=TenantRow.id == _row.tenant_id)
        .where(TenantRow.name == given("tenant"), _row.id == given("id"))
    )
)
_KNOWN = Statement(
    lambda db: _row.select(
        _row.number, _row.search_text, _row.date_created, *(getattr(_row, name) for name in _codes)
    ).where(_row.tenant_id == given("tenant_id"), _row.id == given("id"))
)
_FROM = Statement(
    lambda db: (
        _row.select(_row.id, _row.document)
        .where(_row.tenant_id == given("tenant_id"), _row.id >= given("from_id"))
        .order_by(_row.id)
        .limit(_READ_BATCH + 1)
    )
)
_LAST_ID = Statement(
    lambda db: (
        _row.select(_row.id).where(_row.tenant_id == given("tenant_id")).order_by(_row.id.desc()).limit(1)
    )
)
_LAST_NUMBER = Statement(
    lambda db: (
        _row.select(_row.number)
        .where(_row.number.between(given("first"), given("last")))
        .order_by(_row.number.desc())
        .limit(1)
    )
)
