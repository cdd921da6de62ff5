"""A resource of the tests' own, registered from outside the package: tickets, with filters and exact totals."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import Response, request
from marshmallow import EXCLUDE, fields, validate

from notifhist.auth import RUNS_EDIT, RUNS_VIEW
from notifhist.errors import RunConflict
from notifhist.schemas.document import DocumentSchema, dump
from notifhist.schemas.fields import Instant, JsonInteger, QueryChoices, QueryInteger, Text, in_xml
from notifhist.schemas.query import PageQuery, QuerySchema, Tenant
from notifhist.schemas.resources import Resource
from notifhist.schemas.runs import ClosedDocumentSchema
from notifhist.schemas.validation import Documents
from notifhist.serializers import as_json
from notifhist.serializers.bodies import ExpectedBody
from notifhist.store.counted.records import CountedRecorder, Loaded
from notifhist.store.counted.table import CountedRow, CountedTable, Filter
from notifhist.store.database import Database, SqliteDatabase
from notifhist.web.apis import KEYED_ERRORS, RUNS
from notifhist.web.context import caller
from notifhist.web.declarations import READ, RECORDED, REPLACED, Api, View
from notifhist.web.params import page_query
from notifhist.web.recording import get_record, list_page, record_body, replace_record

QUEUES = ("NETWORK", "STORAGE")
PRIORITIES = ("LOW", "HIGH", "URGENT")


# 1. The documents: schemas/


class TicketSchema(ClosedDocumentSchema):
    root = "ticket"

    date_created = Instant(data_key="dateCreated")
    date_updated = Instant(data_key="dateUpdated")
    id = JsonInteger(metadata=in_xml(attribute=True))
    priority = Text(required=True, validate=validate.OneOf(PRIORITIES))
    queue = Text(validate=validate.OneOf(QUEUES))
    title = Text(required=True, without_nul=True)


class TicketsPageSchema(DocumentSchema):
    root = "container"

    page = fields.Integer(metadata=in_xml(inside="metadata"))
    tickets = Documents(fields.Nested(TicketSchema), metadata=in_xml(name="values", item="ticket"))
    total = fields.Integer(metadata=in_xml(inside="metadata"))
    total_pages = fields.Integer(data_key="totalPages", metadata=in_xml(inside="metadata"))


class TicketsContainerSchema(DocumentSchema):
    root = "container"

    class Meta:
        unknown = EXCLUDE

    tickets = Documents(fields.Nested(TicketSchema), required=True, metadata=in_xml(name="values", item="ticket"))


@dataclass(frozen=True)
class TicketsQuery(PageQuery):
    priorities: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()


class TicketsQuerySchema(QuerySchema):
    priorities = QueryChoices(PRIORITIES)
    queues = QueryChoices(QUEUES)
    search_query = Text(data_key="searchQuery")
    from_ms = Instant(data_key="fromDate")
    page_size = QueryInteger(data_key="pageSize", bounds=(1, 1000))
    page = QueryInteger(bounds=(0, 2**31 - 1))


TICKET, TICKETS_PAGE, TICKETS_CONTAINER = TicketSchema(), TicketsPageSchema(), TicketsContainerSchema()
TICKETS_QUERY = TicketsQuerySchema()
TICKETS = Resource("ticket", TICKET, TICKETS_CONTAINER, Tenant, "{tenant}/api/v1/tickets")


# 2. The table: a migration, the description, and what is stored

TABLE = CountedTable(
    "ticket", (Filter("priority", "priorities", PRIORITIES), Filter("queue", "queues", QUEUES)), ("priority",)
)


def row_of(ticket: Loaded) -> CountedRow:
    return CountedRow(
        id=ticket["id"],
        date_created=ticket["date_created"],
        codes=TABLE.codes_of(ticket),
        search_text=ticket["title"].casefold(),
        brief=None,
        document=as_json.text(dump(TICKET, ticket)),
    )


RECORDER = CountedRecorder(TICKETS, TABLE, row_of, RunConflict, {})

COLUMNS = """tenant_id BIGINT NOT NULL, id BIGINT NOT NULL, date_created BIGINT NOT NULL,
    priority SMALLINT NOT NULL, queue SMALLINT, search_text TEXT NOT NULL, brief TEXT, document TEXT NOT NULL"""
COUNTS = f"""CREATE TABLE ticket_count (tenant_id BIGINT NOT NULL, level INTEGER NOT NULL, bucket BIGINT NOT NULL,
    first_filter BIGINT NOT NULL, second_filter BIGINT NOT NULL,
    {", ".join(f"part_{n} BIGINT NOT NULL" for n in range(16))}, split_mask INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, level, bucket, first_filter, second_filter))"""
INDEXES = (
    "CREATE INDEX ticket_date ON ticket (tenant_id, date_created, id, priority, queue)",
    "CREATE INDEX ticket_priority ON ticket (tenant_id, priority, date_created, id, queue)",
)
SQLITE = (
    f"CREATE TABLE ticket (number INTEGER NOT NULL PRIMARY KEY, {COLUMNS}, UNIQUE (tenant_id, id))",
    "CREATE VIRTUAL TABLE ticket_search USING fts5 (text, content='', tokenize='trigram case_sensitive 1')",
)
POSTGRESQL = (
    f"CREATE TABLE ticket ({COLUMNS}, PRIMARY KEY (tenant_id, id))",
    "CREATE INDEX ticket_search ON ticket USING gin (notifhist_trigrams(search_text))",
)


@contextmanager
def tables(db: Database) -> Iterator[None]:
    """Make the tables, as a migration would."""
    for sql in (*(SQLITE if isinstance(db, SqliteDatabase) else POSTGRESQL), COUNTS, *INDEXES):
        db.execute_sql(sql)
    yield
    for table in ("ticket", "ticket_count"):
        db.execute_sql(f"DROP TABLE {table}")


# 3. The views: a module in web/

API = Api(
    name="tickets",
    tag="Tickets",
    prefixes={"/api/v1/tickets": ""},
    root="/api/v1/tickets",
    error_form=RUNS.error_form,
    errors=KEYED_ERRORS,
    access=RUNS.access,
)


@View(API, "GET", "", "List tickets", RUNS_VIEW, (TICKETS_PAGE,), query=TICKETS_QUERY)
def list_tickets() -> Response:
    query = page_query(TICKETS_QUERY, TicketsQuery, caller().tenant, request.args)
    return list_page(RECORDER, query, TICKETS_PAGE)


@View(
    *(API, "POST", "", "Record a ticket, or all of `tickets`", RUNS_EDIT),
    documents=(TICKET, TICKETS_CONTAINER),
    answers=RECORDED,
    body=ExpectedBody(TICKET, TICKETS_CONTAINER),
    errors=(RunConflict,),
)
def record_tickets() -> Response:
    owner = Tenant(caller().tenant)
    return record_body(RECORDER, owner, TICKETS_CONTAINER, lambda tickets, _: {"tickets": tickets})


@View(API, "GET", "/<ticket_id>", "Read a ticket", RUNS_VIEW, (TICKET,), READ)
def get_ticket(ticket_id: str) -> Response:
    return get_record(RECORDER, ticket_id)


@View(
    *(API, "PUT", "/<ticket_id>", "Create a ticket or replace it", RUNS_EDIT),
    documents=(TICKET,),
    answers=REPLACED,
    body=ExpectedBody(TICKET),
)
def replace_ticket(ticket_id: str) -> Response:
    return replace_record(RECORDER, ticket_id)
