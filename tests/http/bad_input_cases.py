"""What a client may get wrong, one table: what is sent, and the exact error that answers it.

First part: paths and headers, and the words that all parts have in common.
"""

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
FORM = "Not a UUID of the form 8-4-4-4-12"
DATE = "Not an ISO date and time such as 2024-07-29T15:51:28.071Z"
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
