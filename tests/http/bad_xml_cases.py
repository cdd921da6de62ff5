"""The table of bad input, fourth part: bodies in XML."""

import re
from collections.abc import Iterator

from tests.http.bad_input_cases import (
    ATTEMPTS,
    DEEP,
    FORM,
    INTEGER,
    ITEM_ID,
    LEVELS,
    MIB,
    REQUIRED,
    TEXT,
    TOO_LARGE,
    UNFIT,
    Case,
    at_line,
    json_item,
    post_body,
)
from tests.http.helpers import CHECK, NIL, RUNS, XML


def xml_item(more: str = "", attributes: str = "", before: str = "") -> bytes:
    """Return an item that fits, but for what is put in."""
    root = "alarm_notification_history_item"
    return f"{before}<{root}{attributes}><state>OK</state><notification_results/>{more}</{root}>".encode()


def xml_run(more: str = "", attributes: str = "") -> bytes:
    """Return a run that fits, but for what is put in."""
    members = "<medium>EMAIL</medium><notificationType>WEEKLY_REPORT</notificationType><status>CREATED</status>"
    return f"<notification_run{attributes}>{members}{more}</notification_run>".encode()


def xml_cases() -> Iterator[Case]:
    """Yield bodies in XML."""
    no_xml, root = "The body is not well-formed XML.", "The body's root element does not fit."
    doctype, no_doctype = "The body has a DOCTYPE.", "Send XML without one."
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    bomb, long = f"<!DOCTYPE x [{entities}]>", f'<!DOCTYPE x [<!ENTITY a "{"a" * 100_000}">]>'
    file = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    http = '<!DOCTYPE x [<!ENTITY % e SYSTEM "http://127.0.0.1:9/x"> %e;]>'
    utf16, utf8 = '<?xml version="1.0" encoding="utf-16"?>', '<?xml version="1.0" encoding="utf-8"?>'
    for name, body, message, details in (
        ("empty", b"", "The body is empty.", ""),
        ("no XML", b"hello", no_xml, at_line(1)),
        ("JSON for XML", json_item(), no_xml, at_line(1)),
        ("not well-formed", b"<a>\n<b>\n</a>", no_xml, at_line(3)),
        ("truncated", xml_item()[:-5], no_xml, at_line(1)),
        ("two roots", xml_item() * 2, no_xml, at_line(1)),
        ("repeated attribute", b'<a x="1" x="2"/>', no_xml, at_line(1)),
        (
            "lone ampersand",
            xml_item("<x>a & b</x>"),
            no_xml,
            re.compile("An ampersand stands alone, write &amp;: line 1, .+"),
        ),
        ("unknown entity", xml_item("<x>&foo;</x>"), no_xml, at_line(1)),
        ("NUL", xml_item("<x>\0</x>"), no_xml, at_line(1)),
        ("reference to NUL", xml_item("<x>&#0;</x>"), no_xml, at_line(1)),
        ("reference to a surrogate", xml_item("<x>&#xD800;</x>"), no_xml, at_line(1)),
        ("undeclared prefix", xml_item("<p:x>1</p:x>"), no_xml, at_line(1)),
        ("UTF-8 called UTF-16", xml_item(before=utf16), no_xml, at_line(1)),
        ("Latin-1 called UTF-8", xml_item("<x>é</x>", before=utf8).decode().encode("latin-1"), no_xml, at_line(1)),
        ("unknown encoding", xml_item(before=utf8.replace("utf-8", "klingon")), no_xml, at_line(1)),
        ("depth 65", xml_item("<a>" * 65 + "</a>" * 65), DEEP, LEVELS),
        ("depth 200", xml_item("<a>" * 200 + "</a>" * 200), DEEP, "More than 150 elements."),
        ("depth 100,000", xml_item("<a>" * 100_000 + "</a>" * 100_000), DEEP, "More than 150 elements."),
        ("depth 100,000, open", b"<a>" * 100_000, DEEP, "More than 150 elements."),
        ("DOCTYPE", xml_item(before="<!DOCTYPE x>"), doctype, no_doctype),
        ("entity of a file", xml_item("<x>&e;</x>", before=file), doctype, no_doctype),
        ("entity of a URL", xml_item(before=http), doctype, no_doctype),
        ("billion laughs", xml_item("<x>&a9;</x>", before=bomb), doctype, no_doctype),
        ("billion laughs in an attribute", xml_item('<x a="&a9;"/>', before=bomb), doctype, no_doctype),
        ("quadratic blow-up", xml_item(f"<x>{'&a;' * 10_000}</x>", before=long), doctype, no_doctype),
        ("wrong root", b"<html/>", root, "html is none of alarm_notification_history_item, container."),
        (
            "namespace",
            xml_item(attributes=' xmlns="urn:x"'),
            root,
            "{urn:x}alarm_notification_history_item is none of alarm_notification_history_item, container.",
        ),
        (
            "member in a namespace",
            xml_item('<p:x xmlns:p="urn:x"/>'),
            UNFIT,
            '["{urn:x}x"]: Is in a namespace; documents use none',
        ),
        ("text beside members", xml_item("text"), UNFIT, "the root element: Has text beside elements"),
        ("mixed text", xml_item("<message>a<b/>c</message>"), UNFIT, "message: Has text beside elements"),
        (
            "text in a wrapper",
            xml_item().replace(b"results/>", b"results>x</notification_results>"),
            UNFIT,
            "notification_results: Has text beside elements",
        ),
        (
            "stranger in a wrapper",
            xml_item().replace(b"results/>", b"results><y/></notification_results>"),
            UNFIT,
            "notification_results.y: Only notification_result elements stand here",
        ),
        ("unknown attribute", xml_item(attributes=' foo="1"'), UNFIT, "foo: No such attribute"),
        ("unknown attribute of a member", xml_item('<x y="1"/>'), UNFIT, "x.y: No such attribute"),
        ("nil with a text", xml_item(f"<status {NIL}>x</status>"), UNFIT, "status: Is nil, but not empty"),
        ("nil with elements", xml_item(f"<x {NIL}><y/></x>"), UNFIT, "x: Is nil, but not empty"),
        (
            "nil item of a container",
            b"<container><values><alarm_notification_history_item %b/></values></container>" % NIL.encode(),
            UNFIT,
            "values[0]: Field may not be null",
        ),
        ("repeated scalar", xml_item("<state>OK</state>"), UNFIT, "state: Given twice"),
        ("repeated by its key", xml_item('<entry key="state">OK</entry>'), UNFIT, "state: Given twice"),
        ("repeated wrapper", xml_item("<notification_results/>"), UNFIT, "notification_results: Given twice"),
        ("everything wrong", _WRONG_XML, UNFIT, "; ".join(_WRONG_XML_DETAILS)),
        ("container without values", b"<container/>", UNFIT, f"values: {REQUIRED}"),
        (
            "container",
            b"<container><values>%b<alarm_notification_history_item/></values></container>" % xml_item(),
            UNFIT,
            f"values[1].state: {REQUIRED}; values[1].notification_results: {REQUIRED}",
        ),
    ):
        yield post_body(f"XML: {name}", CHECK, body, details, message, content_type=XML)
    for name, url, body, message, details in (
        (
            "item for a run",
            RUNS,
            xml_item(),
            root,
            "alarm_notification_history_item is none of container, notification_run.",
        ),
        ("item for an attempt", ATTEMPTS, xml_item(), root, "alarm_notification_history_item is none of attempts."),
        ("id twice", RUNS, xml_run("<id>5</id>", ' id="1"'), UNFIT, "id: Given twice"),
        (
            "words for numbers",
            RUNS,
            xml_run("<seqNo>1.5</seqNo><deliveredCount>true</deliveredCount>", ' id="x"'),
            UNFIT,
            f"deliveredCount: {INTEGER}; id: {INTEGER}; seqNo: {INTEGER}",
        ),
        ("5000 digits", RUNS, xml_run(attributes=f' id="{"9" * 5000}"'), UNFIT, f"id: {INTEGER}"),
        ("unnamed member", RUNS, xml_run("<foo/>"), UNFIT, "foo: Unknown field"),
        (
            "runs",
            RUNS,
            b"<container><values>%b<notification_run/></values></container>" % xml_run(),
            UNFIT,
            f"runs[1].medium: {REQUIRED}; runs[1].notificationType: {REQUIRED}; runs[1].status: {REQUIRED}",
        ),
        (
            "attempt",
            ATTEMPTS,
            b"<attempts><message>1</message><message>2</message></attempts>",
            UNFIT,
            "message: Given twice",
        ),
    ):
        yield post_body(f"XML: {name}", url, body, details, message, content_type=XML)
    attributes = "".join(f' a{n}=""' for n in range(17))
    many = "An element has too many attributes."
    for name, url, body, element in (
        ("of an item", CHECK, xml_item(attributes=attributes), "alarm_notification_history_item"),
        ("of a member", CHECK, xml_item(f"<x{attributes}/>"), "x"),
        ("in a namespace", CHECK, xml_item(f"<x xmlns:b='b'{attributes.replace(' a', ' b:a')}/>"), "x"),
        ("of a run", RUNS, xml_run(attributes=attributes), "notification_run"),
        ("of an attempt", ATTEMPTS, f"<attempts{attributes}/>".encode(), "attempts"),
        ("of another root", ATTEMPTS, f"<html{attributes}/>".encode(), "html"),
    ):
        details = f"{element} in line 1; 16 are taken."
        yield post_body(f"XML: 17 attributes {name}", url, body, details, many, content_type=XML)
    for name, body in (
        ("3 MB item", xml_item(f"<x>{'a' * 3 * MIB}</x>")),
        ("17 MB container", b"<container><values>%b</values></container>" % (xml_item(f"<x>{'a' * MIB}</x>") * 17)),
    ):
        yield post_body(f"XML: {name}", CHECK, body, "", TOO_LARGE, 413, "requestTooLargeError", XML)

    yield post_body(
        "same id, other content, XML",
        CHECK,
        xml_item(attributes=f' id="{ITEM_ID}"'),
        f"{ITEM_ID} is there already; PUT replaces it.",
        "An item of this id exists with other content.",
        error_type="indexCardinalityConstraintViolation",
        content_type=XML,
    )


_WRONG_XML = b"""<alarm_notification_history_item id="x"><timestamp>1.5</timestamp><state><a/></state>
<notification_results><notification_result><in_progress>yes</in_progress><success/>
<attempts><message><b/></message></attempts><attempts>text</attempts></notification_result>
</notification_results></alarm_notification_history_item>"""
_WRONG_XML_DETAILS = (
    "notification_results[0].attempts[1]: Has text beside elements",
    f"id: {FORM}",
    f"timestamp: {INTEGER}",
    f"state: {TEXT}",
    "notification_results[0].in_progress: Not a valid boolean",
    f"notification_results[0].attempts[0].message: {TEXT}",
)
