"""The same answers by the usual means, as a second measure: JSON alone.

A plain FastAPI application over its own SQLite file: Peewee's rows go through nested pydantic models. Totals are
counted, pages cut by OFFSET, texts searched by LIKE. No keys, no limits, no errors but FastAPI's.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from peewee import BigIntegerField, IntegerField, Model, SqliteDatabase, TextField, chunked
from playhouse.pydantic_utils import to_pydantic
from pydantic import BaseModel, ConfigDict, Field, Json
from pydantic.alias_generators import to_camel

from bench.servers import Service

Document = dict[str, Any]
database = SqliteDatabase(None, pragmas={"journal_mode": "wal"})
app = FastAPI()
_HISTORY = "/v1.0/{tenant}/entities/{entity_id}/alarms/{alarm_id}/notification_history/{check_id}"


class Row(Model):
    """What is stored in the file that is open."""

    class Meta:
        database = database


class ItemRow(Row):
    """An item of a check."""

    id = TextField(primary_key=True)
    entity_id = TextField()
    alarm_id = TextField()
    check_id = TextField()
    timestamp = BigIntegerField()
    transaction_id = TextField(null=True)
    notification_plan_id = TextField(null=True)
    status = TextField(null=True)
    state = TextField()
    previous_state = TextField(null=True)
    notification_results = TextField()

    class Meta:
        indexes = ((("entity_id", "alarm_id", "check_id", "timestamp"), False),)


class RunRow(Row):
    """A notification run."""

    id = BigIntegerField(primary_key=True)
    date_created = TextField(index=True)
    date_updated = TextField()
    delivered_count = BigIntegerField()
    error_message = TextField(null=True)
    failed_reason = TextField(null=True)
    ignored_reason = TextField(null=True)
    medium = TextField()
    notification_objects = TextField(null=True)
    notification_type = TextField()
    original_run_id = BigIntegerField(null=True)
    seq_no = IntegerField()
    status = TextField(index=True)
    summary = TextField(null=True)


class Attempt(BaseModel):
    """One attempt, a member of a result."""

    message: str
    from_: str = Field(alias="from")


class Result(BaseModel):
    """One result, a member of an item."""

    notification_id: str
    notification_type: str | None = None
    notification_details: dict[str, str] | None = None
    in_progress: bool | None = None
    message: str
    success: bool
    attempts: list[Attempt] | None = None


class Item(to_pydantic(ItemRow, exclude={"entity_id", "alarm_id", "check_id"})):  # type: ignore[misc] # no types
    """One item."""

    notification_results: Json[list[Result]]


class Metadata(BaseModel):
    """The place of a page of items."""

    count: int
    limit: int
    marker: str
    next_marker: str | None
    next_href: str | None


class ItemPage(BaseModel):
    """A page of items."""

    values: list[Item]
    metadata: Metadata


class Camel(BaseModel):
    """What has names like dateCreated in JSON."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class Run(to_pydantic(RunRow, exclude={"notification_objects"}, base_model=Camel)):  # type: ignore[misc] # no types
    """One run, as a page shows it: without its objects."""


class RunPage(Camel):
    """A page of runs."""

    page: int
    runs: list[Run]
    total: int
    total_pages: int


class Idiomatic(Service):
    """The application in the service's place."""

    def serving(self, *options: str) -> tuple[str, ...]:
        """Return the command that serves: uvicorn with its defaults, so one worker."""
        return (sys.executable, "-m", "uvicorn", "bench.idiomatic:serving", "--factory", "--port", "0", *options)

    def load(self, lines: Path) -> None:
        """Load a file of NDJSON."""
        _open(self.database.url)
        database.create_tables([ItemRow, RunRow])
        with lines.open() as file, database.atomic():
            for some in chunked(map(json.loads, file), 500):
                _insert(ItemRow, (each | each["item"] for each in some if "item" in each))
                _insert(RunRow, (each["run"] for each in some if "run" in each), to_camel)
        database.close()


def serving() -> FastAPI:
    """Return the application over the file that `Idiomatic.load` has made."""
    _open(os.environ["NOTIFHIST_DATABASE_URL"])
    return app


def _open(url: str) -> None:
    database.init(url.removeprefix("sqlite:///"))


def _insert(model: type[Model], documents: Iterable[Document], spelled: Callable[[str], str] = str) -> None:
    """Insert documents, in which a column is `spelled` differently."""
    columns = list(model._meta.fields.values())
    rows = [[_column(document.get(spelled(column.name))) for column in columns] for document in documents]
    model.insert_many(rows, fields=columns).execute()


def _column(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else value


@app.get(f"{_HISTORY}/{{item_id}}", response_model=Item, response_model_exclude_unset=True)
def get_item(entity_id: str, alarm_id: str, check_id: str, item_id: str) -> Document:
    """Answer one item."""
    path = {"entity_id": entity_id, "alarm_id": alarm_id, "check_id": check_id, "id": item_id}
    return _present(ItemRow.select().filter(**path).dicts().get())


@app.get(_HISTORY, response_model=ItemPage, response_model_exclude_unset=True)
def list_items(
    request: Request,
    entity_id: str,
    alarm_id: str,
    check_id: str,
    limit: int,
    marker: str,
    since: Annotated[int, Query(alias="from")],
    until: Annotated[int, Query(alias="to")],
) -> Document:
    """Answer a page of a check's items."""
    check = {"entity_id": entity_id, "alarm_id": alarm_id, "check_id": check_id}
    from_marker = ItemRow.timestamp >= ItemRow.get_by_id(marker).timestamp
    query = ItemRow.select().filter(**check).where(ItemRow.timestamp.between(since, until), from_marker)
    items = [_present(row) for row in query.order_by(ItemRow.timestamp).limit(limit + 1).dicts()]
    behind = items[limit]["id"] if len(items) > limit else None
    metadata = {"count": len(items[:limit]), "limit": limit, "marker": marker, "next_marker": behind}
    metadata["next_href"] = behind and str(request.url).replace(marker, behind)
    return {"values": items[:limit], "metadata": metadata}


@app.get("/api/v1/notifications/logs/run", response_model=RunPage, response_model_exclude_unset=True)
def list_runs(
    page: int = 0, statuses: str | None = None, search: Annotated[str | None, Query(alias="searchQuery")] = None
) -> Document:
    """Answer a page of runs with one status, or of those in which a text stands."""
    query = RunRow.select()
    if statuses:
        query = query.where(RunRow.status == statuses)
    if search:
        texts = (RunRow.error_message, RunRow.summary, RunRow.notification_objects)
        query = query.orwhere(*(field.contains(search) for field in texts))
    total = query.count()
    rows = query.order_by(RunRow.date_created.desc(), RunRow.id.desc()).paginate(page + 1, 250).dicts()
    return {"page": page, "runs": [_present(row) for row in rows], "total": total, "total_pages": -(-total // 250)}


def _present(row: Any) -> Document:  # a dict, which Peewee's types do not know
    return {name: value for name, value in row.items() if value is not None}
