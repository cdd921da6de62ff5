"""The same answers by the usual means, as a second measure.

A plain Flask app over its own SQLite file: rows become Peewee objects, objects go through nested marshmallow
schemas, and what these dump becomes JSON by `json.dumps` or a tree of lxml. Totals are counted, pages cut by
OFFSET, texts searched by LIKE. No keys, no limits, no log, no errors but Flask's.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from flask import Flask, Response, request
from lxml import etree
from peewee import BigIntegerField, IntegerField, Model, SqliteDatabase, TextField, chunked
from playhouse.shortcuts import model_to_dict

from bench.servers import Service, gunicorn
from fixtures.rendering import add_members
from notifhist.schemas.document import Document
from notifhist.schemas.history import HISTORY_PAGE, ITEM
from notifhist.schemas.runs import RUN, RUNS_PAGE

database = SqliteDatabase(None, pragmas={"journal_mode": "wal"})
app = Flask(__name__)
_HISTORY = "/v1.0/<tenant>/entities/<entity_id>/alarms/<alarm_id>/notification_history/<check_id>"


class Item(Model):
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
        database = database
        indexes = ((("entity_id", "alarm_id", "check_id", "timestamp"), False),)


class Run(Model):
    """A notification run; times in ms since the epoch, UTC."""

    id = BigIntegerField(primary_key=True)
    date_created = BigIntegerField(index=True)
    date_updated = BigIntegerField()
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

    class Meta:
        database = database


class Idiomatic(Service):
    """The application in the service's place."""

    def serving(self, *options: str) -> tuple[str, ...]:
        """Return the command that serves."""
        return gunicorn(f"bench.idiomatic:create_app({self.database.url!r})", *options)

    def load(self, lines: Path) -> None:
        """Load a file of NDJSON."""
        create_app(self.database.url)
        database.create_tables([Item, Run])
        with lines.open() as file, database.atomic():
            for some in chunked(map(json.loads, file), 500):
                _insert(Item, [each | each["item"] for each in some if "item" in each])
                _insert(Run, [RUN.load(each["run"]) for each in some if "run" in each])
        database.close()


def create_app(url: str) -> Flask:
    """Return the application over the file that `Idiomatic.load` has made."""
    database.init(url.removeprefix("sqlite:///"))
    return app


def _insert(model: type[Model], documents: Sequence[Document]) -> None:
    rows = [
        {name: json.dumps(value) if isinstance(value, list) else value for name, value in document.items()}
        for document in documents
    ]
    model.insert_many(rows, fields=list(model._meta.fields.values())).execute()


@app.get(f"{_HISTORY}/<id>")
def get_item(tenant: str, **path: str) -> Response:
    """Answer one item."""
    return _respond(ITEM.dump(_document(Item.get(**path))), "alarm_notification_history_item")


@app.get(_HISTORY)
def list_items(tenant: str, **check: str) -> Response:
    """Answer a page of a check's items."""
    limit, marker = int(request.args["limit"]), request.args["marker"]
    in_time = Item.timestamp.between(int(request.args["from"]), int(request.args["to"]))
    from_marker = Item.timestamp >= Item.get_by_id(marker).timestamp
    query = Item.select().filter(**check).where(in_time, from_marker).order_by(Item.timestamp)
    items = [_document(item) for item in query.limit(limit + 1)]
    behind = items[limit]["id"] if len(items) > limit else None
    metadata = {"count": len(items[:limit]), "limit": limit, "marker": marker, "next_marker": behind}
    metadata["next_href"] = behind and request.url.replace(marker, behind)
    return _respond(HISTORY_PAGE.dump({"values": items[:limit], "metadata": metadata}), "container")


@app.get("/api/v1/notifications/logs/run")
def list_runs() -> Response:
    """Answer a page of runs with one status, or of those in which a text stands."""
    query = Run.select()
    if status := request.args.get("statuses"):
        query = query.where(Run.status == status)
    if text := request.args.get("searchQuery"):
        found = [field.contains(text) for field in (Run.error_message, Run.summary, Run.notification_objects)]
        query = query.orwhere(*found)
    page, total = int(request.args.get("page", 0)), query.count()
    runs = query.order_by(Run.date_created.desc(), Run.id.desc()).paginate(page + 1, 250)
    shown = [model_to_dict(run, exclude=[Run.notification_objects]) for run in runs]
    document = {"page": page, "runs": shown, "total": total, "total_pages": -(-total // 250)}
    return _respond(RUNS_PAGE.dump(document), "container")


def _document(item: Item) -> Document:
    members = model_to_dict(item, exclude=[Item.entity_id, Item.alarm_id, Item.check_id])
    members["notification_results"] = json.loads(item.notification_results)
    return {name: value for name, value in members.items() if value is not None}


def _respond(document: Document, root: str) -> Response:
    if request.accept_mimetypes.best_match(["application/json", "application/xml"]) == "application/json":
        return Response(json.dumps(document), content_type="application/json")
    element = etree.Element(root)
    add_members(element, document)
    body = etree.tostring(element, encoding="utf-8", xml_declaration=True)
    return Response(body, content_type="application/xml")
