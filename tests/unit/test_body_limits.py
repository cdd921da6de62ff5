"""Bodies at and beyond what a body may hold: the error says what is too much, and where, whatever the size."""

import time
from collections.abc import Callable
from contextlib import suppress
from xml.sax.saxutils import escape

import pytest

from notifhist.errors import ApiError, BadRequest, RequestTooLarge
from notifhist.schemas.history import HISTORY_CONTAINER, ITEM
from notifhist.schemas.runs import RUN, RUNS_CONTAINER
from notifhist.serializers.bodies import LIMITS, MAX_BODY_BYTES, MAX_CONTAINER_BYTES, ExpectedBody, parse_body
from notifhist.serializers.parsed import MAX_TEXT_BYTES
from tests.cpu import cpu_ms

JSON, XML = "application/json", "application/xml"
ITEMS, RUNS = ExpectedBody(ITEM, HISTORY_CONTAINER), ExpectedBody(RUN, RUNS_CONTAINER)
FILL = "a" * (MAX_BODY_BYTES + 1)
TOO_LONG = f"Has more than {MAX_TEXT_BYTES} bytes"


def json_items(more: str = "", end: str = "]}", number: int = 1) -> bytes:
    item = f'{{"state":"OK","notification_results":[]{more}}}'
    return f'{{"values":[{",".join([item] * number)}{end}'.encode()


def json_runs(more: str = "", end: str = "]}", number: int = 1) -> bytes:
    run = f'{{"notificationType":"WEEKLY_REPORT","medium":"EMAIL","status":"CREATED"{more}}}'
    return f'{{"runs":[{",".join([run] * number)}{end}'.encode()


def xml_items(more: str = "", end: str = "</values></container>", number: int = 1) -> bytes:
    name = "alarm_notification_history_item"
    item = f"<{name}><state>OK</state><notification_results/>{more}</{name}>"
    return f"<container><values>{item * number}{end}".encode()


def xml_runs(more: str = "", end: str = "</values></container>", number: int = 1) -> bytes:
    members = "<medium>EMAIL</medium><notificationType>WEEKLY_REPORT</notificationType><status>CREATED</status>"
    return f"<container><values>{f'<notification_run>{members}{more}</notification_run>' * number}{end}".encode()


def refused(body: bytes, content_type: str, expected: ExpectedBody = ITEMS) -> ApiError:
    with pytest.raises(ApiError) as raised:
        parse_body(body, content_type, expected)
    return raised.value


NO_JSON, NO_XML, NO_UTF_8 = "The body is not JSON.", "The body is not well-formed XML.", "The body is not UTF-8."
UNREADABLE = {
    "a comma too many": (JSON, json_items(f',"x":"{FILL}"', ",\n]}"), NO_JSON, "line 2, column 1."),
    "no end": (JSON, json_items(f',"x":"{FILL}"', "\n"), NO_JSON, "line 2, column 1."),
    "no JSON": (JSON, FILL.encode(), NO_JSON, "Expecting value: line 1, column 1."),
    "NaN": (JSON, json_items(f',"x":"{FILL}"', ",\nNaN]}"), NO_JSON, "line 2, column 1."),
    "another byte": (JSON, json_items(f',"x":"{FILL}"', ",\n") + b"\xff", NO_UTF_8, "line 2, column 1."),
    "a member twice": (
        *(JSON, json_items(f',"x":"{FILL}"', '],\n"values":1}')),
        *("The body repeats a member.", '"values" again: line 2, column 1.'),
    ),
    "an element not closed": (XML, xml_items(f"<x>{FILL}</x>", "\n</container>"), NO_XML, "line 2, column 13."),
    "no XML": (XML, FILL.encode(), NO_XML, "line 1, column 1."),
    "an ampersand": (XML, xml_items(f"<x>{FILL}</x>", "\n& </values></container>"), NO_XML, "line 2, column 2."),
    "an ampersand behind a text too long for parsers": (
        *(XML, xml_items(f"<x>{'a' * (MAX_TEXT_BYTES + 1)}</x>", "\n& </values></container>")),
        *(NO_XML, "line 2, column 2."),
    ),
}


@pytest.mark.parametrize(("content_type", "body", "message", "where"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_large_body_that_cannot_be_read_is_refused_by_line_and_column(
    content_type: str, body: bytes, message: str, where: str
) -> None:
    assert MAX_BODY_BYTES < len(body) < MAX_CONTAINER_BYTES
    error = refused(body, content_type)
    assert (error.status, error.message) == (400, message)
    assert error.details.endswith(where)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, json_items(f',"x":"{FILL}"', "").removeprefix(b'{"values":[')),
        (JSON, f'["{FILL}"]'.encode()),
        (XML, f"<alarm_notification_history_item>{FILL}</alarm_notification_history_item>".encode()),
        (XML, f"<html>{FILL}</html>".encode()),
    ],
)
def test_a_large_body_that_can_be_read_and_is_no_container_is_too_large(content_type: str, body: bytes) -> None:
    assert isinstance(refused(body, content_type), RequestTooLarge)


LONG, WIDE = "a" * (MAX_TEXT_BYTES + 1), "é" * (MAX_TEXT_BYTES // 2) + "a"
TOO_LONG_TEXTS = {
    "JSON": (JSON, json_items(f',"x":["y","{LONG}"]'), ITEMS, f"values[0].x[1]: {TOO_LONG}"),
    "JSON, wide": (JSON, json_items(f',"status":"{WIDE}"'), ITEMS, f"values[0].status: {TOO_LONG}"),
    "JSON, a run": (JSON, json_runs(f',"summary":"{LONG}"'), RUNS, f"runs[0].summary: {TOO_LONG}"),
    "JSON, a name": (
        *(JSON, json_items(f',"{LONG}":1'), ITEMS),
        f"values[0].{'a' * 200}…: The name has more than {MAX_TEXT_BYTES} bytes",
    ),
    "XML": (XML, xml_items(f"<x>y</x><x>{LONG}</x>"), ITEMS, f"values[0].x[1]: {TOO_LONG}"),
    "XML, wide": (XML, xml_items(f"<status>{WIDE}</status>"), ITEMS, f"values[0].status: {TOO_LONG}"),
    "XML, in two parts": (
        *(XML, xml_items(f"<x>{LONG[:9_000_000]}<!-- --><![CDATA[{LONG[9_000_000:]}]]></x>"), ITEMS),
        f"values[0].x: {TOO_LONG}",
    ),
    "XML, a run": (XML, xml_runs(f"<summary>{LONG}</summary>"), RUNS, f"runs[0].summary: {TOO_LONG}"),
    "XML, a name": (
        *(XML, xml_items(f'<entry key="{LONG}"/>'), ITEMS),
        f"values[0].{'a' * 200}…: The name has more than {MAX_TEXT_BYTES} bytes",
    ),
}


@pytest.mark.parametrize(
    ("content_type", "body", "expected", "details"), TOO_LONG_TEXTS.values(), ids=TOO_LONG_TEXTS.keys()
)
def test_a_text_that_xml_parsers_would_refuse_is_refused_by_its_path(
    content_type: str, body: bytes, expected: ExpectedBody, details: str
) -> None:
    error = refused(body, content_type, expected)
    assert (error.message, error.details) == ("The body does not fit.", details)


@pytest.mark.parametrize("text", ["a" * MAX_TEXT_BYTES, "é" * (MAX_TEXT_BYTES // 2)], ids=["ASCII", "wide"])
def test_the_longest_text_is_taken_in_both_formats(text: str) -> None:
    for content_type, body in ((JSON, json_items(f',"x":"{text}"')), (XML, xml_items(f"<x>{escape(text)}</x>"))):
        assert parse_body(body, content_type, ITEMS).document["values"][0]["x"] == text


def test_no_entity_is_expanded_behind_what_common_parsers_refuse() -> None:
    entities = '<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefghij", "bcdefghijk", strict=True)
    )
    body = f"<!--{LONG}--><!DOCTYPE x [{entities}]><x y='&k;'/>".encode()
    assert cpu_ms(lambda: refused(body, XML)) < 1000
    assert refused(body, XML).message == "The body has a DOCTYPE."


@pytest.mark.parametrize(
    ("content_type", "body", "what"),
    [
        (JSON, lambda: json_items(f',"x":[0{",0" * 700_000}]'), "values"),
        (JSON, lambda: json_items(filled(',"x":[%s]', "[]", 700_000)), "values"),
        (JSON, lambda: json_items(filled(',"x":[%s]', '{"":0}', 750_000)), "values"),
        (JSON, lambda: json_items(filled(',"x":[%s],"x":1', "{}", 1_500_001)), "values"),
        (XML, lambda: xml_items("<x/>" * 1_000_000), "elements"),
    ],
    ids=["numbers", "lists", "maps", "maps before a member twice", "elements"],
)
def test_the_number_of_values_in_a_body_is_bounded(content_type: str, body: Callable[[], bytes], what: str) -> None:
    error = refused(body(), content_type)
    assert (error.status, error.message) == (400, f"The body has too many {what}.")
    assert error.details == f"{getattr(LIMITS, what)} are taken."


def test_sixteen_attributes_and_any_namespace_declarations_are_taken() -> None:
    xsi = "http://www.w3.org/2001/XMLSchema-instance"
    known = f'xmlns:xsi="{xsi}" xsi:schemaLocation="a b"' + "".join(f' xmlns:n{n}="n" xsi:a{n}=""' for n in range(15))
    body = xml_items(f"<x {known}>y</x>")
    assert parse_body(body, XML, ITEMS).document["values"][0]["x"] == "y"
    assert refused(body.replace(b"<x ", b"<x xsi:nil='' "), XML).message == "An element has too many attributes."


TOO_MANY = {
    "items": (JSON, ITEMS, json_items),
    "runs": (JSON, RUNS, json_runs),
    "items in XML": (XML, ITEMS, xml_items),
    "runs in XML": (XML, RUNS, xml_runs),
}


@pytest.mark.parametrize(("content_type", "expected", "container"), TOO_MANY.values(), ids=TOO_MANY.keys())
def test_a_container_has_ten_thousand_records_at_most(
    content_type: str, expected: ExpectedBody, container: Callable[..., bytes]
) -> None:
    error = refused(container(number=10_001), content_type, expected)
    assert (error.status, error.message) == (400, "The body has too many records.")
    assert error.details == "10000 are taken."
    (records,) = parse_body(container(number=10_000), content_type, expected).document.values()
    assert len(records) == 10_000


def filled(form: str, value: str, number: int = MAX_CONTAINER_BYTES) -> str:
    """Return `form` with `value` in it, as often as a body may have it, up to `number`, with commas between."""
    return form % ",".join([value] * min(number, (MAX_CONTAINER_BYTES - 300) // (len(value.encode()) + 1)))


def attempts(attempt: str, last: str = "{}") -> bytes:
    results = filled(f'"notification_results":[{{"attempts":[%s,{last}]}}]', attempt, 690_000)
    return json_items().replace(b'"notification_results":[]', results.encode())


def xml_attributes(form: str, number: int) -> bytes:
    attributes = "".join(form % n for n in range(number))
    return xml_items(f"<x {attributes}/>" * (MAX_BODY_BYTES // len(attributes)))


def deep(inner: str) -> str:
    name, levels = "n" * 200, 130
    return f"<{name}>" * levels + inner + f"</{name}>" * levels


OBJECT = '{"id":1,"name":"","type":"ENTITY","tag":""}'
HOSTILE: dict[str, tuple[str, ExpectedBody, Callable[[], bytes]]] = {
    "numbers": (JSON, ITEMS, lambda: json_items(filled(',"x":[%s]', "0"))),
    "numbers before a member twice": (JSON, ITEMS, lambda: json_items(filled(',"x":[%s],"x":1', "0"))),
    "texts before a member twice": (JSON, ITEMS, lambda: json_items(filled(',"x":[%s],"x":1', '"é"'))),
    "maps before a member twice": (JSON, ITEMS, lambda: json_items(filled(',"x":[%s],"x":1', "{}"))),
    "members before a member twice": (JSON, ITEMS, lambda: json_items(filled(',"x":[%s],"x":1', '{"a":1}', 340_000))),
    "numbers before NaN": (JSON, ITEMS, lambda: json_items(filled(',"x":[%s,NaN]', "-1"))),
    "quotes behind NaN": (JSON, ITEMS, lambda: b'[NaNx,"' + b'\\"' * 8_000_000),
    "empty attempts": (JSON, ITEMS, lambda: attempts("{}")),
    "one wrong attempt": (JSON, ITEMS, lambda: attempts("{}", '{"message":1}')),
    "wrong attempts": (JSON, ITEMS, lambda: attempts("0")),
    "objects": (JSON, RUNS, lambda: json_runs(filled(',"notificationObjects":[%s]', OBJECT, 199_000))),
    "elements": (XML, ITEMS, lambda: xml_items("<x/>" * 4_000_000)),
    "elements as many as are taken": (XML, ITEMS, lambda: xml_items("<x/>" * 490_000)),
    "names": (XML, ITEMS, lambda: xml_items("".join(f"<x{n}/>" for n in range(490_000)))),
    "attributes that do not exist": (XML, ITEMS, lambda: xml_items("<x y=''/>" * 490_000)),
    "attributes that do not exist, deep down": (XML, ITEMS, lambda: xml_items(deep("<b x=''/>" * 120_000))),
    "1000 attributes": (XML, ITEMS, lambda: xml_attributes('a%d="" ', 1000)),
    "100,000 attributes": (XML, ITEMS, lambda: xml_attributes('a%d="" ', 100_000)),
    "1000 namespaces": (XML, ITEMS, lambda: xml_attributes('xmlns:a%d="a" ', 1000)),
    "100,000 namespaces": (XML, ITEMS, lambda: xml_attributes('xmlns:a%d="a" ', 100_000)),
}


@pytest.mark.long
@pytest.mark.parametrize(("content_type", "expected", "body"), HOSTILE.values(), ids=HOSTILE.keys())
def test_no_body_takes_long_to_read(content_type: str, expected: ExpectedBody, body: Callable[[], bytes]) -> None:
    data = body()
    started = time.process_time()
    with suppress(BadRequest):
        parse_body(data, content_type, expected)
    took_s = time.process_time() - started
    assert took_s < 8  # 2 at most on a machine that does nothing else; 100,000 attributes once took 43


def test_an_error_stays_short_however_long_the_names_in_it_are() -> None:
    error = refused(json_items(filled(f',"{FILL}":[%s]', "1e999", 2000)), JSON)
    assert f"{'a' * 200}…[999]: Must be a finite number" in error.details
    assert len(error.details) < 300_000
