"""A list of the tests' own, registered from outside the package, that may be streamed: numbers, which SQL makes up."""

from collections.abc import Iterator
from functools import partial
from operator import attrgetter

from flask import request
from marshmallow import fields, validate

from notifhist import errors
from notifhist.auth import OBSERVER
from notifhist.schemas.document import DocumentSchema
from notifhist.schemas.error import FAULT
from notifhist.schemas.fields import JsonInteger, Text, Timestamp, in_xml
from notifhist.schemas.validation import Documents
from notifhist.serializers.formats import CSV, JSON, NDJSON, XML, Formats
from notifhist.serializers.lines import BATCH, Lines
from notifhist.serializers.stored import BETWEEN_LINES, StoredForm, StoredPage, encoded
from notifhist.store.database import Database
from notifhist.store.database.sql import first
from notifhist.web.apis import KEYED_ERRORS, X_AUTH_TOKEN
from notifhist.web.context import readable_db
from notifhist.web.declarations import Access, Api, ErrorForm, View
from notifhist.web.responses import can_stream, name_file, respond, respond_stream
from notifhist.web.shortcuts import Response
from notifhist.web.streams import Connected

_LONG = "x" * 100


class NumberSchema(DocumentSchema):
    root = "counted"
    description = "A number."

    timestamp = Timestamp()
    number = JsonInteger()
    parity = Text(validate=validate.OneOf(("-even", "-odd")))
    text = Text()


class NumbersSchema(DocumentSchema):
    root = "container"
    description = "Numbers."

    values = Documents(fields.Nested(NumberSchema), metadata=in_xml(item="counted"))


NUMBER, NUMBERS = NumberSchema(), NumbersSchema()
STREAMS = Api(
    name="streams",
    tag="Streams",
    prefixes={"/streams": ""},
    root="/streams",
    error_form=ErrorForm(FAULT),
    errors=(*KEYED_ERRORS, errors.Unauthorized),
    access=Access((X_AUTH_TOKEN,), errors.Unauthorized, rate_limit=None, account=attrgetter("tenant")),
)


def document(number: int) -> dict[str, object]:
    """Return the document of a number."""
    parity = "-odd" if number % 2 else "-even"
    return {"timestamp": number * 1000, "number": number, "parity": parity, "text": f"={number}{_LONG}"}


def read(db: Database, low: int, high: int, separator: str) -> bytes:
    """Return the documents of the numbers from `low` to `high`, as a store would have them."""
    text = f"""'{{"timestamp":' || (n * 1000) || ',"number":' || n || ',"parity":"' ||
        CASE n & 1 WHEN 0 THEN '-even' ELSE '-odd' END || '","text":"=' || n || '{_LONG}"}}'"""
    sql = f"""WITH RECURSIVE numbers (n) AS
        (SELECT CAST(:low AS BIGINT) UNION ALL SELECT n + 1 FROM numbers WHERE n < CAST(:high AS BIGINT))
        SELECT {type(db).joined("page.text", separator)} FROM (SELECT {text} AS text FROM numbers) AS page"""
    found = first(db, sql, low=low, high=high)
    assert found is not None
    return encoded(found[0])


def batches(count: int, fails_at: int | None, connected: Connected) -> Iterator[Lines]:
    """Yield numbers from 1 to `count`, each batch by a query of its own; a query fails behind `fails_at` batches."""
    for n, low in enumerate(range(1, count + 1, BATCH)):
        db = connected()
        if n == fails_at:
            first(db, "SELECT n FROM no_such_table")
        yield read(db, low, min(low + BATCH - 1, count), BETWEEN_LINES.decode())


@View(
    *(STREAMS, "GET", "/numbers/<count>", "List numbers", OBSERVER, (NUMBERS,)),
    offers=Formats(JSON, XML, CSV, NDJSON),
    format_parameter=True,
    may_bear=("Content-Disposition",),
)
def list_numbers(count: str) -> Response:
    fails_at = request.args.get("failsAt", type=int)
    if can_stream() and "limit" not in request.args:
        response = respond_stream(partial(batches, int(count), fails_at), NUMBER)
    else:
        piece = read(readable_db(), 1, min(int(count), int(request.args.get("limit", 50))), ",")
        response = respond({"values": StoredPage(StoredForm.JSON, [piece])}, NUMBERS)
    return name_file(response, f"numbers-{count}")


@View(STREAMS, "GET", "/none", "Ignore the parameter `format`", OBSERVER, (NUMBERS,), offers=Formats(JSON, XML))
def list_none() -> Response:
    return respond({"values": []}, NUMBERS)
