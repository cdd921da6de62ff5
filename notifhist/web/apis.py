"""The APIs of the service side by side, each with the properties that its views share."""

from base64 import b64decode
from collections.abc import Iterable
from dataclasses import replace
from operator import attrgetter

from notifhist import errors
from notifhist.schemas.error import FAULT, PROBLEM, RUN_ERROR
from notifhist.serializers import as_json
from notifhist.serializers.formats import Format, Formats
from notifhist.web.declarations import Access, Api, ErrorForm, KeyHeader
from notifhist.web.pages.links import ROOT
from notifhist.web.pages.rendering import PAGE, PAGE_ERROR, SECURITY_HEADERS
from notifhist.web.pages.sessions import LoginRequired, account_of, find_caller


def _password_of(credentials: str) -> str:
    """Return the password of Basic credentials (RFC 7617), "" if they are none."""
    try:
        return b64decode(credentials.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


X_AUTH_TOKEN = KeyHeader(
    *("X-Auth-Token", "HTTP_X_AUTH_TOKEN", "X-Auth-Token"),
    security_scheme={"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
)
BEARER = KeyHeader(
    *("Bearer", "HTTP_AUTHORIZATION", "Authorization: Bearer …"),
    security_scheme={"type": "http", "scheme": "bearer"},
    auth_scheme="bearer",
)
BASIC = KeyHeader(
    *("Basic", "HTTP_AUTHORIZATION", "Authorization: Basic …"),
    security_scheme={"type": "http", "scheme": "basic", "description": "the key as the password, any user name"},
    auth_scheme="basic",
    read=_password_of,
)
PROBLEM_JSON = Format("problem", ("application/problem+json",), as_json.parts, shape="members")
KEYED_ERRORS = (
    *(errors.BadRequest, errors.Forbidden, errors.NotAcceptable),
    *(errors.RateLimitReached, errors.InternalError, errors.Unavailable),
)
"""The errors that any view that needs a key may answer."""

HISTORY = Api(
    name="history",
    tag="Alarm notification history",
    # Generated clients make a method of each operation id, so the second URL of a view needs another.
    prefixes={"/v1.0/<tenant_id>": "", "": "_of_own_tenant"},
    root="",
    error_form=ErrorForm(FAULT),
    errors=(*KEYED_ERRORS, errors.Unauthorized),
    access=Access(
        (X_AUTH_TOKEN, BEARER, BASIC), errors.Unauthorized, "history", attrgetter("tenant"), shows_usage=True
    ),
)
RUNS = Api(
    name="runs",
    tag="Notification runs and logs",
    prefixes={"/api/v1/notifications/logs": ""},
    root="/api",
    error_form=ErrorForm(RUN_ERROR),
    errors=KEYED_ERRORS,
    access=Access((BEARER, BASIC, X_AUTH_TOKEN), errors.Forbidden, "runs", attrgetter("id")),
    special_error_forms={errors.RateLimitReached: ErrorForm(PROBLEM, Formats(PROBLEM_JSON))},
)
PAGE_ERRORS = (*KEYED_ERRORS, errors.NotFound)
PAGES = Api(
    name="pages",
    tag="Pages",
    prefixes={ROOT: ""},
    root=ROOT,
    error_form=ErrorForm(PAGE_ERROR, PAGE),
    errors=PAGE_ERRORS,
    access=Access((), LoginRequired, "pages", account_of, find_caller=find_caller),
    headers=SECURITY_HEADERS,
    cache_control="no-store",
    is_described=False,
)
OPEN_PAGES = replace(PAGES, name="open pages", root=None, access=None)
"""What is below /ui/ without a session: signing in and out, assets."""
FEEDS = Api(
    name="feeds",
    tag="Feeds",
    prefixes=HISTORY.prefixes,
    root=None,  # a URL that is no feed is one of the history API
    error_form=HISTORY.error_form,
    errors=tuple(kind for kind in HISTORY.errors if kind is not errors.NotAcceptable),
    access=Access((X_AUTH_TOKEN, BEARER, BASIC), errors.Unauthorized, "feeds", attrgetter("tenant"), shows_usage=True),
)
OPERATIONS = Api("operations", "Operations", {"": ""}, None, ErrorForm(FAULT), (errors.InternalError,))
APIS = (HISTORY, RUNS, FEEDS, PAGES, OPEN_PAGES, OPERATIONS)


def served(apis: Iterable[Api] = APIS, *, pages: bool) -> tuple[Api, ...]:
    """Return the APIs that are served, those of `apis` without the pages unless these are switched on."""
    return tuple(api for api in apis if pages or api not in (PAGES, OPEN_PAGES))


def api_of(path: str, apis: Iterable[Api] = APIS) -> Api:
    """Return the API that answers a path that is no route: the one with the longest root above the path."""
    roots = {api.root: api for api in apis if api.root is not None}
    above = [root for root in roots if not root or path == root or path.startswith(f"{root}/")]
    return roots[max(above, key=len)]
