"""The table of bad input, second part: query strings."""

import re
from collections.abc import Iterator

from tests.http.bad_input_cases import DATE, FAILED, FORM, ITEM_ID, MEDIUMS, UUID_4, Case
from tests.http.helpers import CHECK, RUNS

_LIMIT = "limit: Must be an integer from 1 to 1000"
_MS = "Not an ISO date and time such as 2024-07-29T15:51:28.071Z. Or give milliseconds since the epoch"
_BOOLEAN = "Must be true or false"
_STATUSES = "CREATED, FAILED, IGNORED, COMPLETED, COMPLETED_WITH_ERRORS"


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
