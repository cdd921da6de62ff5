"""The declarations of APIs and views; the request checks, OpenAPI and the tests read them."""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from flask import Request, Response
from marshmallow import Schema

from notifhist.auth import ApiKey
from notifhist.errors import ApiError
from notifhist.schemas.document import DocumentSchema
from notifhist.serializers.bodies import ExpectedBody
from notifhist.serializers.formats import JSON_AND_XML, Formats

Json = dict[str, Any]
Function = TypeVar("Function", bound=Callable[..., Response])
AS_OF = "X-Notifhist-As-Of"
"""The header of an answer that may lag: the time of the newest change that it could have."""
LIST = {200: ()}
READ = {200: ("ETag",), 304: ("ETag",)}
RECORDED = {200: ("Location",), 201: ("Location",)}
REPLACED = {200: ("ETag",), 201: ("ETag", "Location")}
"""The answers of views that list, read, record or replace documents: headers by status."""


class KeyHeader(NamedTuple):
    """A header in which a key may come: its name in OpenAPI and in WSGI, and how to use it, in words.

    `auth_scheme` is the word before the key, in lower case, if there is one; `read` returns the key from what follows,
    "" if there is none.
    """

    name: str
    environ_name: str
    usage: str
    security_scheme: Json
    auth_scheme: str = ""
    read: Callable[[str], str] = str.strip

    def key_in(self, value: str) -> str:
        """Return the key in the header's value, "" if there is none."""
        if self.auth_scheme:
            scheme, _, value = value.partition(" ")
            if scheme.lower() != self.auth_scheme:
                return ""
        return self.read(value)


class Access(NamedTuple):
    """The keys that an API takes, and its rate limit.

    A key is read from the first header that is there, though it has none: `headers` may name one several times, with
    different schemes. `find_caller` returns the key of a caller who sends none in a header, or raises the refusal.
    `refusal` answers a caller without a valid key. Requests are counted for `account` against `rate_limit`, a name in
    `Service.rate_limiters`; None: they are not counted. `shows_usage` adds the X-RateLimit headers.
    """

    headers: tuple[KeyHeader, ...]
    refusal: type[ApiError]
    rate_limit: str | None
    account: Callable[[ApiKey], str]
    shows_usage: bool = False
    find_caller: Callable[[Request], ApiKey] | None = None


class ErrorForm(NamedTuple):
    """How an API writes errors: `schema` dumps an `ErrorReport`."""

    schema: DocumentSchema
    offers: Formats = JSON_AND_XML


@dataclass(frozen=True, eq=False)
class Api:
    """The properties that all views of an API share.

    `name` stands in metrics, `tag` in OpenAPI. `prefixes` are the URL prefixes of all its views, each with the suffix
    of the operation ids below it. The API answers URLs below `root` that are no routes ("": all that are below no
    other root; None: none). Without `access` its views need no key. `errors` are those that any view may
    answer, written in `error_form` unless `special_error_forms` has another. Every answer bears `headers`, and
    `cache_control` unless its view says otherwise. OpenAPI leaves out an API that `is_described` says is for people.
    """

    name: str
    tag: str
    prefixes: Mapping[str, str]
    root: str | None
    error_form: ErrorForm
    errors: tuple[type[ApiError], ...]
    access: Access | None = None
    special_error_forms: Mapping[type[ApiError], ErrorForm] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()
    cache_control: str = ""
    is_described: bool = True
    views: list["View"] = field(default_factory=list, init=False, repr=False)

    def form_of(self, kind: type[ApiError]) -> ErrorForm:
        """Return how this API writes errors of a kind."""
        return self.special_error_forms.get(kind, self.error_form)


@dataclass(frozen=True, eq=False)
class View:
    """The declaration of a view; as a decorator it adds the function to the views of its API.

    `path` follows the API's prefixes, in Flask's notation; an id is a whole part of it, `<name>`. `summary` and
    `description` are published. Without `role` any key will do. 200 and 201 answer one of `documents`, in a format of
    `offers`; with `format_parameter`, `?format=` chooses it before Accept does. A view with `content` (JSON schemas by
    media type) answers that, whatever the caller accepts. `answers` are, by status, the headers beside those of every
    answer; `may_bear` those that some have. `read_body` returns the `body`. `errors` come beside those of the API.
    `links` names the functions of views that OpenAPI links to. `without_database` is the message while that is gone.
    """

    api: Api
    method: str
    path: str
    summary: str
    role: str | None = None
    documents: tuple[DocumentSchema, ...] = ()
    answers: Mapping[int, tuple[str, ...]] = field(default_factory=LIST.copy)
    _: KW_ONLY
    description: str = ""
    offers: Formats = JSON_AND_XML
    format_parameter: bool = False
    content: Mapping[str, Json] = field(default_factory=dict)
    query: Schema | None = None
    body: ExpectedBody | None = None
    may_bear: tuple[str, ...] = ()
    errors: tuple[type[ApiError], ...] = ()
    links: tuple[str, ...] = ()
    without_database: str | None = None
    function: Any = None

    def __call__(self, function: Function) -> Function:
        """Declare `function` to be this view."""
        self.api.views.append(replace(self, function=function))
        return function

    @property
    def name(self) -> str:
        """The name of the function, with which operation ids begin."""
        name: str = self.function.__name__
        return name
