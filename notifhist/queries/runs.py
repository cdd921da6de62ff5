"""The notification runs of a tenant. A run is a row: a dict by the names of the table's columns.

Times are ms since the epoch, UTC. Contract: docs/contract.md, "Notification runs" and "Recording".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from notifhist.database import Database
from notifhist.errors import BadRequest, NotFound, RunConflict
from notifhist.models import NotificationRunRow
from notifhist.queries.same import same_json
from schemas.fields import INT64
from schemas.query import RunsQuery

Run = dict[str, Any]

_BETWEEN = "X"
"""Parts the texts that a search looks through: no case-folded text has an upper-case letter, so no search
can match across two of them."""
_FIND_BATCH, _READ_BATCH, _INSERT_BATCH = 1000, 500, 200  # rows of one statement
_COLUMNS = tuple(
    field for name, field in NotificationRunRow._meta.fields.items() if name not in ("tenant", "search_text")
)


@dataclass(frozen=True)
class RunsPage:
    """A page of runs and how many there are in all."""

    runs: tuple[Run, ...]
    total: int


def list_runs(db: Database, query: RunsQuery) -> RunsPage:
    """Return one page of a tenant's runs and the exact total, both of the same moment."""
    matching = NotificationRunRow.select(*_COLUMNS).where(*_conditions(db, query))
    order = (NotificationRunRow.date_created, NotificationRunRow.id)
    page = (
        matching.order_by(*(column.desc() if query.descending else column for column in order))
        .limit(query.page_size)
        .offset(query.page * query.page_size)
    )
    with db.reading():
        total = matching.count(db)
        if query.page * query.page_size >= total:
            return RunsPage((), total)
        return RunsPage(tuple(_run(row, query.include_objects) for row in page.dicts().execute(db)), total)


def get_run(db: Database, tenant: str, run_id: int) -> Run:
    """Return a run with its objects. Raises NotFound."""
    for run in _find(db, tenant, [run_id]).values():
        return run
    raise NotFound("No such run.", f"{run_id} is none of the tenant's runs.")


def record_runs(db: Database, tenant: str, runs: Sequence[Run], now_ms: int) -> tuple[tuple[Run, ...], int]:
    """Record runs, all or none; return them filled in, and how many were not there before.

    A run that is there already with the same content stays as it is. Raises RunConflict where its content
    differs.
    """
    with db.writing():
        db.lock_name(tenant)  # so that no number is given twice
        complete = _with_ids(db, tenant, runs)
        known = _find(db, tenant, [run["id"] for run in complete])
        new = {run["id"]: run for run in _agreeing(complete, known, now_ms) if run["id"] not in known}
        _insert(db, tenant, list(new.values()))
    stored = known | new
    return tuple(stored[run["id"]] for run in complete), len(new)


def find_conflicts(db: Database, tenant: str, runs: Sequence[Run]) -> list[bool]:
    """Return of each of the runs, which all have an id, whether it is there with other content."""
    known = _find(db, tenant, [run["id"] for run in runs])
    others = [known.get(run["id"]) for run in runs]
    return [
        other is not None and not same_json(other, _filled(run, other, 0))
        for run, other in zip(runs, others, strict=True)
    ]


def replace_run(db: Database, tenant: str, run: Run, now_ms: int) -> tuple[Run, bool]:
    """Create the run of this id or replace it; return it filled in, and whether it was created."""
    filled = _filled(run, None, now_ms)
    with db.writing():
        db.lock_name(tenant)
        created = bool(_insert(db, tenant, [filled]))
        if not created:
            row = NotificationRunRow
            row.update(**_row(tenant, filled)).where(row.tenant == tenant, row.id == run["id"]).execute(db)
    return filled, created


def all_runs(db: Database) -> Iterator[tuple[str, Run]]:
    """Yield every tenant and run, tenant by tenant and by id; memory stays flat."""
    row = NotificationRunRow
    tenants = row.select(row.tenant).distinct().order_by(row.tenant).tuples().execute(db)
    for (tenant,) in list(tenants):
        after: int | None = None
        while True:
            behind: list[Any] = [] if after is None else [row.id > after]
            rows = (
                row.select(*_COLUMNS).where(row.tenant == tenant, *behind).order_by(row.id).limit(_READ_BATCH)
            )
            found = [_run(each) for each in rows.dicts().execute(db)]
            yield from ((tenant, run) for run in found)
            if len(found) < _READ_BATCH:
                break
            after = found[-1]["id"]


def count_runs(db: Database) -> int:
    """Return how many runs there are."""
    count: int = NotificationRunRow.select().count(db)
    return count


def _conditions(db: Database, query: RunsQuery) -> Iterator[Any]:
    row = NotificationRunRow
    yield row.tenant == query.tenant
    for column, values in (
        (row.notification_type, query.notification_types),
        (row.status, query.statuses),
        (row.medium, query.mediums),
        (row.ignored_reason, query.ignored_reasons),
        (row.failed_reason, query.failed_reasons),
    ):
        if values:
            yield column << values
    if query.from_ms is not None:
        yield row.date_created >= query.from_ms
    if query.until_ms is not None:
        yield row.date_created <= query.until_ms
    if query.search_query:
        yield db.contains(row.search_text, query.search_query.casefold())


def _with_ids(db: Database, tenant: str, runs: Sequence[Run]) -> list[Run]:
    """Return the runs, those without an id with the next numbers."""
    if all("id" in run for run in runs):
        return list(runs)
    row = NotificationRunRow
    last = row.select(row.id).where(row.tenant == tenant).order_by(row.id.desc()).limit(1)
    greatest = max(
        [*(run["id"] for run in runs if "id" in run), *(n for (n,) in last.tuples().execute(db)), 0]
    )
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


def _filled(run: Run, known: Run | None, now_ms: int) -> Run:
    """Return `run` with the members that are always there.

    Those that it leaves out are taken from the `known` run of its id, so that sending a run again is no
    conflict only because time has passed.
    """
    date_created = run.get("date_created", now_ms)
    defaults = {"date_created": date_created, "date_updated": date_created, "delivered_count": 0, "seq_no": 0}
    if known is not None:
        defaults = {name: known[name] for name in defaults}
    objects = run.get("notification_objects") or None
    return {column.name: None for column in _COLUMNS} | defaults | run | {"notification_objects": objects}


def _find(db: Database, tenant: str, run_ids: list[int]) -> dict[int, Run]:
    row = NotificationRunRow
    runs: dict[int, Run] = {}
    for start in range(0, len(run_ids), _FIND_BATCH):
        some = run_ids[start : start + _FIND_BATCH]
        query = row.select(*_COLUMNS).where(row.tenant == tenant, row.id << some)
        runs.update((each["id"], _run(each)) for each in query.dicts().execute(db))
    return runs


def _agreeing(runs: Sequence[Run], known: dict[int, Run], now_ms: int) -> tuple[Run, ...]:
    """Return the runs filled in. Raises RunConflict where one differs from the known one of its id."""
    filled = tuple(_filled(run, known.get(run["id"]), now_ms) for run in runs)
    first = dict(known)
    for run in filled:
        if not same_json(first.setdefault(run["id"], run), run):
            raise RunConflict(details=f"{run['id']} is there already; PUT replaces it.")
    return filled


def _insert(db: Database, tenant: str, runs: Sequence[Run]) -> set[int]:
    """Insert those of the runs that are not there; return their ids."""
    inserted: set[int] = set()
    for start in range(0, len(runs), _INSERT_BATCH):
        rows = [_row(tenant, run) for run in runs[start : start + _INSERT_BATCH]]
        query = NotificationRunRow.insert_many(rows).on_conflict_ignore().returning(NotificationRunRow.id)
        inserted.update(run_id for (run_id,) in query.tuples().execute(db))
    return inserted


def _row(tenant: str, run: Run) -> dict[str, Any]:
    objects = run["notification_objects"]
    return {
        **run,
        "tenant": tenant,
        "notification_objects": orjson.dumps(objects).decode() if objects else None,
        "search_text": _search_text(run),
    }


def _search_text(run: Run) -> str:
    texts = [run["error_message"], run["summary"]]
    for about in run["notification_objects"] or ():
        texts += [about["name"], about.get("tag")]
    return _BETWEEN.join(text.casefold() for text in texts if text)


def _run(row: dict[str, Any], include_objects: bool = True) -> Run:
    objects = row["notification_objects"] if include_objects else None
    return {**row, "notification_objects": orjson.loads(objects) if objects else None}
