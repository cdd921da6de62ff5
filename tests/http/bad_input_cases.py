"""What a client may get wrong, one table: what is sent, and the exact error that answers it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.http.helpers import ALARM, CHECK, JSON, RUNS

ITEM_ID = "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26"
"""The id of the one item that is there, with one result, ntOne. Its time is 1320885544875."""
OTHER_ID = "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa27"
UUID_4 = "00000000-0000-4000-8000-000000000000"
BEFORE_1970 = "00000000-0000-1000-8000-000000000000"
RUN_ID = 1
"""The id of the one run that is there."""
ITEM = f"{CHECK}/{ITEM_ID}"
ATTEMPTS = f"{ITEM}/notification_results/ntOne/attempts"
RUN = f"{RUNS}/{RUN_ID}"
MIB = 2**20

Details = str | re.Pattern[str]
"""The exact text; a pattern where half of it is the parser's own words."""


@dataclass(frozen=True)
class Case:
    """A request and the error that it gets."""

    name: str
    url: str
    details: Details
    message: str = "The request does not fit."
    status: int = 400
    type: str = ""
    """Where it is not the plain one for a bad request."""
    method: str = "GET"
    body: bytes = field(default=b"", repr=False)
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_of_runs(self) -> bool:
        """Whether the error is one of the runs API."""
        return self.url.startswith("/api/")

    @property
    def error_type(self) -> str:
        """The error's type."""
        return self.type or ("BAD_REQUEST" if self.is_of_runs else "badRequest")


def at_line(number: int) -> re.Pattern[str]:
    """Return the pattern of what a parser says about a line."""
    return re.compile(rf"[^\n]+[^:,\s]: line {number}, column \d+\.")


TOO_LARGE = "The body is too large: a container may have 16 MiB, any other body 2 MiB."
REQUIRED = "Missing data for required field"
TEXT, INTEGER = "Not a valid string", "Not a valid integer"
UNFIT, DEEP, LEVELS = "The body does not fit.", "The body is nested too deeply.", "More than 64 levels."
_LIMIT = "limit: Must be an integer from 1 to 1000"
_MS = "Not an ISO date and time such as 2024-07-29T15:51:28.071Z. Or give milliseconds since the epoch"
_BOOLEAN = "Must be true or false"
FORM = "Not a UUID of the form 8-4-4-4-12"
DATE = "Not an ISO date and time such as 2024-07-29T15:51:28.071Z"
_STATUSES = "CREATED, FAILED, IGNORED, COMPLETED, COMPLETED_WITH_ERRORS"
MEDIUMS = "SLACK, MICROSOFT_TEAMS, EMAIL, WEBHOOK"
FAILED = "PACKET_GENERATOR_ERROR, CONTEXT_RESOLUTION_ERROR, MISSING_RECIPIENTS, INTERNAL_ERROR"
INT64 = "Must be from -9223372036854775808 to 9223372036854775807"


def json_item(more: str = "") -> bytes:
    """Return an item that fits, but for the members `more`."""
    return f'{{"state":"OK","notification_results":[]{more}}}'.encode()


def post_body(
    name: str,
    url: str,
    body: bytes,
    details: Details,
    message: str = UNFIT,
    status: int = 400,
    error_type: str = "",
    content_type: str = JSON,
) -> Case:
    return Case(name, url, details, message, status, error_type, "POST", body, content_type)


def query_cases() -> Iterator[Case]:
    for name, text in (
        ("zero", "0"),
        ("above 1000", "1001"),
        ("negative", "-1"),
        ("empty", ""),
        ("a word", "abc"),
        ("a fraction", "1.0"),
        ("with a plus", "%2B5"),
        ("with a blank", "%2050"),
        ("hexadecimal", "0x10"),
        ("with an underscore", "1_0"),
        ("of Arabic digits", "%D9%A5"),
        ("superscript", "%C2%B2"),
        ("NUL", "%00"),
        ("no UTF-8", "%FF"),
        ("of 5000 digits", "9" * 5000),
    ):
        yield Case(f"limit {name}", f"{CHECK}?limit={text}", _LIMIT, "The limit is invalid.", type="invalidLimit")
    both = f"from: {_MS}; {_LIMIT}"
    yield Case("limit and more", f"{CHECK}?limit=0&from=x", both, "The limit is invalid.", type="invalidLimit")
    for query, details in (
        ("from=", f"from: {_MS}"),
        ("from=1.5", f"from: {_MS}"),
        ("from=2011-11-31", f"from: {_MS}"),
        ("to=2011-11-10T01:00:00%2B2", f"to: {_MS}"),
        ("from=%D9%A1", f"from: {_MS}"),
        ("to=NaN", f"to: {_MS}"),
        ("to=" + "9" * 5000, f"to: {_MS}"),
        ("marker=", f"marker: {FORM}"),
        ("marker=%00", f"marker: {FORM}"),
        ("marker=" + ITEM_ID.replace("-", ""), f"marker: {FORM}"),
        ("marker={" + ITEM_ID + "}", f"marker: {FORM}"),
        ("marker=" + UUID_4, "marker: Not a version-1 UUID"),
        ("reverse=", f"reverse: {_BOOLEAN}"),
        ("reverse=maybe", f"reverse: {_BOOLEAN}"),
        ("from=x&to=y&marker=z&reverse=w", f"from: {_MS}; to: {_MS}; marker: {FORM}; reverse: {_BOOLEAN}"),
    ):
        yield Case(f"?{query[:50]}", f"{CHECK}?{query}", details)
    page = "page: Must be an integer from 0 to 2147483647"
    for query, details in (
        ("pageSize=0", "pageSize: Must be an integer from 1 to 1000"),
        ("pageSize=1001", "pageSize: Must be an integer from 1 to 1000"),
        ("pageSize=", "pageSize: Must be an integer from 1 to 1000"),
        ("page=-1", page),
        ("page=2147483648", page),
        ("page=" + "9" * 5000, page),
        ("page=1.0", page),
        ("orderBy=asc", "orderBy: Must be one of: ASC, DESC"),
        ("orderBy=", "orderBy: Must be one of: ASC, DESC"),
        ("fromDate=", f"fromDate: {DATE}"),
        ("fromDate=yesterday", f"fromDate: {DATE}"),
        ("fromDate=2024-02-30T00:00:00Z", f"fromDate: {DATE}"),
        ("fromDate=1722268288071", f"fromDate: {DATE}"),
        ("untilDate=99999-01-01", f"untilDate: {DATE}"),
        ("untilDate=2024-07-29T15:51:28%2B99:00", f"untilDate: {DATE}"),
        ("untilDate=%D9%A2024-07-29", f"untilDate: {DATE}"),
        ("fromDate=0001-01-01T00:00:00%2B01:00", "fromDate: Not within the years 1 to 9999"),
        ("untilDate=9999-12-31T23:59:59-01:00", "untilDate: Not within the years 1 to 9999"),
        ("statuses=created", f"statuses: 'created' is none of {_STATUSES}"),
        ("statuses=CREATED,NOPE", f"statuses: 'NOPE' is none of {_STATUSES}"),
        ("statuses=CREATED&statuses=%00", f"statuses: '\\x00' is none of {_STATUSES}"),
        ("mediums=PIGEON", f"mediums: 'PIGEON' is none of {MEDIUMS}"),
        ("ignoredReasons=x", "ignoredReasons: 'x' is none of SCORECARD_DISABLED, WORKSPACE_DISABLED, NO_RECIPIENTS"),
        ("failedReasons=x", f"failedReasons: 'x' is none of {FAILED}"),
        ("searchQuery=a%00b", "searchQuery: U+0000 is not allowed"),
        ("includeObjects=", f"includeObjects: {_BOOLEAN}"),
        ("includeObjects=perhaps&mediums=x", f"mediums: 'x' is none of {MEDIUMS}; includeObjects: {_BOOLEAN}"),
    ):
        yield Case(f"runs?{query[:50]}", f"{RUNS}?{query}", details)
    for url in (CHECK, RUNS):
        name, no_utf8 = f"query of raw bytes {url[:4]}", "The query string is not UTF-8."
        yield Case(name, f"{url}?x=\xff", "Percent-encode it as UTF-8.", no_utf8)
    types = re.compile("notificationTypes: 'x' is none of INITIATIVE_CREATION, [A-Z_, ]+")
    yield Case("runs?notificationTypes=x", f"{RUNS}?notificationTypes=x", types)


def path_cases() -> Iterator[Case]:
    wrong = "An id in the URL does not fit."
    details = "entity_id: Must be 1 to 255 characters, no slash and no control character among them"
    no_utf8 = "An id in the URL is not UTF-8."
    for name, part, message, expected in (
        ("of 256 characters", "e" * 256, wrong, details),
        ("of 256 wide characters", "%F0%9F%94%94" * 256, wrong, details),
        ("NUL", "%00", wrong, details),
        ("line feed", "a%0Ab", wrong, details),
        ("DEL", "%7F", wrong, details),
        ("C1 control", "%C2%85", wrong, details),
        ("encoded slash", "a%2Fb", wrong, details),
        ("encoded slash, small", "a%2fb", wrong, details),
        ("no UTF-8", "%FF", no_utf8, ""),
        ("overlong", "%C0%AF", no_utf8, ""),
        ("encoded surrogate", "%ED%A0%80", no_utf8, ""),
    ):
        yield Case(f"id {name}", CHECK.replace("enOne", part), expected, message)
    nowhere, no_item = "Nothing is found here.", "No such item."
    for name, url, message, details in (
        ("empty id", CHECK.replace("enOne", ""), nowhere, ""),
        ("trailing slash", f"{CHECK}/", nowhere, ""),
        ("doubled slash", f"/{CHECK}", nowhere, ""),
        ("dot segments", f"{ALARM}/../notification_history/chOne/x/y", nowhere, ""),
        ("item no UUID", f"{CHECK}/x", no_item, f"x: {FORM}."),
        ("item of version 4", f"{CHECK}/{UUID_4}", no_item, f"{UUID_4}: Not a version-1 UUID."),
        ("item not there", f"{CHECK}/{OTHER_ID}", no_item, f"{OTHER_ID} is not in this check's history."),
        ("dots as id", f"{CHECK}/..", no_item, f"..: {FORM}."),
    ):
        yield Case(name, url, details, message, 404, "notFoundError")
    for name, url, message, details, error_type in (
        (
            "attempt: no UUID",
            f"{CHECK}/x/notification_results/n/attempts",
            no_item,
            f"x: {FORM}.",
            "parentNotFoundError",
        ),
        (
            "attempt: no item",
            ATTEMPTS.replace(ITEM_ID, OTHER_ID),
            no_item,
            f"{OTHER_ID} is not in this check's history.",
            "parentNotFoundError",
        ),
        (
            "attempt: no result",
            ATTEMPTS.replace("ntOne", "ntTwo"),
            "No such notification.",
            "ntTwo is not among the item's results.",
            "notFoundError",
        ),
    ):
        yield Case(name, url, details, message, 404, error_type, "POST", b"{}", JSON)
    for run_id in ("x", "1.0", "+1", "%D9%A3", "true", "0x1"):
        yield Case(f"run {run_id}", f"{RUNS}/{run_id}", "id: Not a valid integer.", "The URL names no run.")
    yield Case("run of 2^63", f"{RUNS}/{2**63}", f"id: {INT64}.", "The URL names no run.")
    digits, details = ("9" * 5000, "run_id: Must be 1 to 255 characters, no slash and no control character among them")
    yield Case("run of 5000 digits", f"{RUNS}/{digits}", details, wrong)
    yield Case("run not there", f"{RUNS}/-1", "-1 is none of the tenant's runs.", "No such run.", 404, "NOT_FOUND")
    yield Case(
        "PUT of no UUID",
        f"{CHECK}/x",
        f"x: {FORM}.",
        "The URL names no item.",
        method="PUT",
        body=json_item(),
        content_type=JSON,
    )
    yield Case(
        "PUT of version 4",
        f"{CHECK}/{UUID_4}",
        f"{UUID_4}: Not a version-1 UUID.",
        "The URL names no item.",
        method="PUT",
        body=json_item(),
        content_type=JSON,
    )
    yield Case(
        "PUT before 1970",
        f"{CHECK}/{BEFORE_1970}",
        "id: Its time is before 1970",
        UNFIT,
        method="PUT",
        body=json_item(),
        content_type=JSON,
    )


def header_cases() -> Iterator[Case]:
    unacceptable = "Nothing acceptable can be answered; accept application/json or application/xml."
    for accept in ("text/html", "image/*", "application/json;q=0", "*/*;q=0", "application/vnd.x+json"):
        for url, error_type in ((CHECK, "notAcceptable"), (RUNS, "BAD_REQUEST")):
            yield Case(f"accept {accept} {url[:4]}", url, "", unacceptable, 406, error_type, headers={"Accept": accept})
    unknown = "Send the body as application/json or application/xml, and say so in Content-Type."
    for content_type in (
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "json",
        "application/*",
        "*/*",
        "application/json, application/xml",
        "text/json",
        "application/problem+json",
        "application/json; q",
    ):
        for url, error_type in ((CHECK, "unsupportedMediaType"), (RUNS, "BAD_REQUEST")):
            yield Case(
                f"content type {content_type} {url[:4]}",
                url,
                "",
                unknown,
                415,
                error_type,
                "POST",
                json_item(),
                content_type,
            )
    yield Case(
        "Content-Length too short",
        CHECK,
        "Unterminated string starting at: line 1, column 2.",
        "The body is not JSON.",
        method="POST",
        body=json_item(),
        content_type=JSON,
        environ={"CONTENT_LENGTH": "5"},
    )
    yield Case(
        "Content-Length too long",
        CHECK,
        "",
        method="POST",
        body=json_item(),
        content_type=JSON,
        environ={"CONTENT_LENGTH": "100"},
    )
    yield Case(
        "Content-Length beyond all",
        CHECK,
        "",
        TOO_LARGE,
        413,
        "requestTooLargeError",
        "POST",
        json_item(),
        JSON,
        environ={"CONTENT_LENGTH": "999999999999"},
    )
