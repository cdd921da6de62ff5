"""The same answers by the usual means, as a second measure: `python -m bench.idiomatic --database FILE`.

A plain Flask app over its own SQLite file: rows become Peewee objects, objects go through nested marshmallow
schemas, and what these dump becomes JSON by `json.dumps` or a tree of lxml. Totals are counted, pages cut by
OFFSET, texts searched by LIKE. No keys, no limits, no log, no errors but Flask's.
"""

import json
from collections.abc import Sequence
from typing import Any

import click
from flask import Flask, Response, abort, request
from lxml import etree
from peewee import BigIntegerField, IntegerField, Model, SqliteDatabase, TextField, Value
from playhouse.shortcuts import model_to_dict

from bench.data import loaded_run
from notifhist.schemas.document import Document
from notifhist.schemas.history import HISTORY_PAGE, ITEM
from notifhist.schemas.query import CheckPath
from notifhist.schemas.runs import RUNS_PAGE
from notifhist.server.settings import Server, options

database = SqliteDatabase(None, pragmas={"journal_mode": "wal"})

_WRAPPED = {
    "values": "alarm_notification_history_item",
    "runs": "notification_run",
    "notification_results": "notification_result",
}


class JsonField(TextField):
    """JSON as text."""

    def db_value(self, value: Any) -> Any:
        """Return what is stored."""
        return None if value is None else json.dumps(value)

    def python_value(self, value: Any) -> Any:
        """Return what was stored."""
        return None if value is None else json.loads(value)


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
    notification_results = JsonField()

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
    notification_objects = JsonField(null=True)
    notification_type = TextField()
    original_run_id = BigIntegerField(null=True)
    seq_no = IntegerField()
    status = TextField(index=True)
    summary = TextField(null=True)

    class Meta:
        database = database


class IdiomaticStore:
    """Takes the records of a data set."""

    def __init__(self, path: str) -> None:
        database.init(path)
        database.create_tables([Item, Run])

    def add_items(self, check: CheckPath, documents: Sequence[Document]) -> None:
        """Store items of a check."""
        place = {"entity_id": check.entity_id, "alarm_id": check.alarm_id, "check_id": check.check_id}
        with database.atomic():
            Item.insert_many([place | document for document in documents], fields=_ITEM_FIELDS).execute()

    def add_runs(self, documents: Sequence[Document]) -> None:
        """Store runs, given as a client sends them."""
        with database.atomic():
            Run.insert_many([loaded_run(document) for document in documents], fields=_RUN_FIELDS).execute()

    def close(self) -> None:
        """Close the file."""
        database.close()


_ITEM_FIELDS = tuple(Item._meta.fields.values())
_RUN_FIELDS = tuple(Run._meta.fields.values())
_NOT_SHOWN = [Item.entity_id, Item.alarm_id, Item.check_id]

app = Flask(__name__)
_HISTORY = "/v1.0/<tenant>/entities/<entity_id>/alarms/<alarm_id>/notification_history/<check_id>"


@app.before_request
def _connect() -> None:
    database.connect(reuse_if_open=True)


@app.get(f"{_HISTORY}/<item_id>")
def get_item(tenant: str, entity_id: str, alarm_id: str, check_id: str, item_id: str) -> Response:
    """Answer one item."""
    item = Item.get_or_none(
        Item.id == item_id,
        Item.entity_id == entity_id,
        Item.alarm_id == alarm_id,
        Item.check_id == check_id,
    )
    if item is None:
        abort(404)
    return _respond(ITEM.dump(_document(item)), "alarm_notification_history_item")


@app.get(_HISTORY)
def list_items(tenant: str, entity_id: str, alarm_id: str, check_id: str) -> Response:
    """Answer a page of a check's items."""
    limit, marker = int(request.args["limit"]), request.args["marker"]
    items = list(
        Item.select()
        .where(
            Item.entity_id == entity_id,
            Item.alarm_id == alarm_id,
            Item.check_id == check_id,
            Item.timestamp.between(int(request.args["from"]), int(request.args["to"])),
            Item.timestamp >= Item.get_by_id(marker).timestamp,
        )
        .order_by(Item.timestamp)
        .limit(limit + 1)
    )
    behind = items[limit].id if len(items) > limit else None
    metadata = {
        "count": len(items[:limit]),
        "limit": limit,
        "marker": marker,
        "next_marker": behind,
        "next_href": behind and request.url.replace(marker, behind),
    }
    page = {"values": [_document(item) for item in items[:limit]], "metadata": metadata}
    return _respond(HISTORY_PAGE.dump(page), "container")


@app.get("/api/v1/notifications/logs/run")
def list_runs() -> Response:
    """Answer a page of runs with one status, or of those in which a text stands."""
    query = Run.select()
    if status := request.args.get("statuses"):
        query = query.where(Run.status == status)
    if text := request.args.get("searchQuery"):
        pattern = Value(f"%{text}%", converter=False)
        query = query.where(
            Run.error_message**pattern | Run.summary**pattern | Run.notification_objects**pattern
        )
    page, total = int(request.args.get("page", 0)), query.count()
    runs = query.order_by(Run.date_created.desc(), Run.id.desc()).limit(250).offset(page * 250)
    shown = [model_to_dict(run, exclude=[Run.notification_objects]) for run in runs]
    document = {"page": page, "runs": shown, "total": total, "total_pages": -(-total // 250)}
    return _respond(RUNS_PAGE.dump(document), "container")


def _document(item: Item) -> Document:
    members = model_to_dict(item, exclude=_NOT_SHOWN)
    return {name: value for name, value in members.items() if value is not None}


def _respond(document: Document, root: str) -> Response:
    if request.accept_mimetypes.best_match(["application/json", "application/xml"]) == "application/json":
        return Response(json.dumps(document), content_type="application/json")
    element = etree.Element(root)
    _fill(element, document)
    body = etree.tostring(element, encoding="utf-8", xml_declaration=True)
    return Response(body, content_type="application/xml")


def _fill(parent: etree._Element, document: Document) -> None:
    for name, value in document.items():
        if name == "id":
            parent.set(name, str(value))
        elif isinstance(value, list):
            wrapper = etree.SubElement(parent, name) if name in _WRAPPED else parent
            for each in value:
                _fill(etree.SubElement(wrapper, _WRAPPED.get(name, name)), each)
        elif isinstance(value, dict):
            _fill(etree.SubElement(parent, name), value)
        else:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            etree.SubElement(parent, name).text = None if value is None else text


@click.command()
@click.option("--database", "path", required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--bind", default="127.0.0.1:0", show_default=True)
@click.option("--threads", default=8, show_default=True)
def main(path: str, bind: str, threads: int) -> None:
    """Serve the SQLite file that `python -m bench run` has made."""
    database.init(path)
    Server(lambda: app, options(1, threads) | {"bind": bind}).run()


if __name__ == "__main__":
    main()
