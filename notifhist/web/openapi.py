"""The contract as OpenAPI: paths, methods and roles from the declarations, members and parameters from the schemas.

HEAD is not described: it is GET without the body (RFC 9110, 9.3.2), and generated clients would get a useless
method out of each.
"""

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from marshmallow import fields

from notifhist import errors
from notifhist.errors import ApiError
from notifhist.schemas.document import DocumentSchema
from notifhist.schemas.fields import JsonInteger, PathId, TimeUuid
from notifhist.serializers.codings import ACCEPT_ENCODING
from notifhist.serializers.formats import Format, Formats
from notifhist.web.declarations import AS_OF, Api, Json, View
from notifhist.web.openapi_fields import Description

_ABOUT = (
    "The notifications that an alerting system sent, with every attempt to deliver them. HEAD works wherever "
    "GET does. Another method answers 405, with `Allow` and the error document of its API. Unknown query "
    "parameters are ignored; a list may be repeated, separated by commas, or written with brackets (`statuses[]`). "
    "`Accept` chooses between JSON, the default, and XML; deliveries are CSV and NDJSON, too."
)
_BODY = f"It may be packed, as `Content-Encoding` then says: {ACCEPT_ENCODING}. Limits count what it unpacks to."
_ID = PathId(metadata={"description": "any characters but a slash and controls, percent-encoded UTF-8"})
_PATH_FIELDS: dict[str, fields.Field[Any]] = {"uuid": TimeUuid(), "run_id": JsonInteger(), "log_id": JsonInteger()}

_HEADERS: dict[str, tuple[str, Json]] = {
    "X-Response-Id": ("The id of this answer; errors repeat it.", {"type": "string"}),
    "Vary": ("The request headers on which the answer depends.", {"type": "string"}),
    "X-Content-Type-Options": ("`nosniff`: the answer is what Content-Type says.", {"type": "string"}),
    "WWW-Authenticate": ("How a key is sent.", {"type": "string"}),
    "X-RateLimit-Limit": ("Requests in a window.", {"type": "integer"}),
    "X-RateLimit-Used": ("Requests used of this window.", {"type": "integer"}),
    "X-RateLimit-Window": ("How long a window is, in words.", {"type": "string"}),
    "X-RateLimit-Type": ("The scope of the limit.", {"type": "string"}),
    "Retry-After": ("Seconds to wait.", {"type": "integer"}),
    "Location": ("The absolute URL of what was recorded.", {"type": "string", "format": "uri"}),
    "ETag": ("A tag of the bytes of this answer.", {"type": "string"}),
    "X-Notifhist-Note": ("`expired`: some of it is older than the retention, and never shown.", {"type": "string"}),
    AS_OF: (
        "There is no primary database: the time of the newest change in the replica that answers, or `unknown`.",
        {"type": "string"},
    ),
    "Content-Disposition": ("`attachment`, and a name for the file.", {"type": "string"}),
    "Accept-Encoding": ("The content codings that are read here, after another one.", {"type": "string"}),
    "Allow": ("The methods that this URL knows.", {"type": "string"}),
}
_WITH: dict[type[ApiError], tuple[str, ...]] = {
    errors.RateLimitReached: ("Retry-After",),
    errors.MethodNotAllowed: ("Allow",),
    errors.Unauthorized: ("WWW-Authenticate",),
}
_SOMETIMES: dict[type[ApiError], tuple[str, ...]] = {
    errors.Unavailable: ("Retry-After",),
    errors.UnsupportedMediaType: ("Accept-Encoding",),
}
_READ_CONDITIONS = {"If-None-Match": "the ETag of the client's copy: 304 if that is still current"}
_WRITE_CONDITIONS = {
    "If-Match": "an ETag, of any format, of what is to be changed, or `*`: 412 if nothing of that tag is there now",
    "If-None-Match": "`*`: 412 if something is there already; an ETag: 412 if that is still it",
}
_ALWAYS = ("X-Response-Id", "Vary", "X-Content-Type-Options")
_WHERE_LIMITED = tuple(name for name in _HEADERS if name.startswith("X-RateLimit"))


def describe(apis: Iterable[Api]) -> dict[str, object]:
    """Return the views of `apis` as an OpenAPI document."""
    description = Description("Notification history", "1.0", info={"description": _ABOUT})
    apis = [api for api in apis if api.is_described]
    for api in apis:
        for header in api.access.headers if api.access else ():
            if header.name not in description.spec.components.security_schemes:
                description.spec.components.security_scheme(header.name, header.security_scheme)
        _error(description, api, errors.MethodNotAllowed, method="")  # no described method answers it
    for api in apis:
        for prefix in api.prefixes:
            for view in sorted(api.views, key=lambda view: view.path):
                _add_view(description, api, prefix, view)
    return description.to_dict()


def _add_view(description: Description, api: Api, prefix: str, view: View) -> None:
    description.spec.path(
        re.sub(r"<(\w+)>", r"{\1}", prefix + view.path),
        operations={view.method.lower(): _operation(description, api, prefix, view)},
        parameters=[_path_parameter(description, name) for name in _ids_in(prefix + view.path)],
    )


def _ids_in(path: str) -> list[str]:
    return re.findall(r"<(\w+)>", path)


def _path_parameter(description: Description, name: str) -> Json:
    schema = description.field(_PATH_FIELDS.get(name, _ID))
    about = {"description": schema.pop("description")} if "description" in schema else {}
    return {"name": name, "in": "path", "required": True, **about, "schema": schema}


def _operation(description: Description, api: Api, prefix: str, view: View) -> Json:
    role = f"Needs the role `{view.role}`." if view.role else ""
    operation: Json = {
        "tags": [api.tag],
        "operationId": view.name + api.prefixes[prefix],
        "summary": view.summary,
        "description": f"{view.description} {role}".strip(),
        "security": [{header.name: []} for header in (api.access.headers if api.access else ())],
        "parameters": _parameters(description, view),
    }
    kinds = (*api.errors, *view.errors)
    if body := view.body:
        documents = [each for each in (body.single, body.container) if each is not None]
        content = _content(description, body.formats, documents)
        operation["requestBody"] = {"description": _BODY, "required": True, "content": content}
        kinds = (*kinds, errors.RequestTooLarge, errors.UnsupportedMediaType)
    answers: Json = {str(status): _answer(description, api, prefix, view, status) for status in view.answers}
    answers |= {str(kind.status): _error(description, api, kind, view.method) for kind in kinds}
    operation["responses"] = dict(sorted(answers.items()))
    return {name: value for name, value in operation.items() if value}


def _parameters(description: Description, view: View) -> list[Json]:
    parameters = description.parameters(view.query) if view.query else []
    if view.format_parameter:
        words = {"type": "string", "enum": [each.word for each in view.offers]}
        about = "The format of the answer, whatever `Accept` says."
        parameters.append({"name": "format", "in": "query", "description": about, "required": False, "schema": words})
    is_read = HTTPStatus.NOT_MODIFIED in view.answers
    conditions = _READ_CONDITIONS if is_read else _WRITE_CONDITIONS if errors.PreconditionFailed in view.errors else {}
    return parameters + [
        {"name": name, "in": "header", "description": about, "schema": {"type": "string"}}
        for name, about in conditions.items()
    ]


def _content(description: Description, formats: Formats, documents: Sequence[DocumentSchema]) -> Json:
    """Return any of `documents` in each format, by media type."""
    return {
        media_type: {"schema": _any_of(description, each, documents)}
        for each in formats
        for media_type in each.media_types
    }


def _any_of(description: Description, written: Format, documents: Sequence[DocumentSchema]) -> Json:
    if written.shape == "text":
        return {"type": "string"} | ({"description": written.description} if written.description else {})
    any_of = [description.document(each, xml=written.shape == "elements") for each in documents]
    return {"anyOf": any_of} if len(any_of) > 1 else next(iter(any_of), {})


def _answer(description: Description, api: Api, prefix: str, view: View, status: int) -> Json:
    content: Json = {}
    if status in (HTTPStatus.OK, HTTPStatus.CREATED):
        content = {media_type: {"schema": schema} for media_type, schema in view.content.items()}
        content = content or _content(description, view.offers, view.documents)
    # One item or run has an ETag, a container of them none.
    sometimes = ("ETag",) if len(view.documents) > 1 else ()
    always = (*_ALWAYS, *view.answers[status])
    sometimes = (*sometimes, *view.may_bear, *_lag(api, view.method), *_limits(api))
    response = _response(HTTPStatus(status).phrase, content, always, sometimes)
    if view.links:
        response["links"] = {name: _link(api, prefix, view, name) for name in view.links}
    return response


def _link(api: Api, prefix: str, view: View, name: str) -> Json:
    """Return the link to the view `name`: with the ids of this path; a missing one is that of the answer."""
    target = next(each for each in api.views if each.name == name)
    known = _ids_in(prefix + view.path)
    parameters = {
        each: f"$request.path.{each}" if each in known else "$response.body#/id"
        for each in sorted(_ids_in(prefix + target.path))
    }
    return {"operationId": name + api.prefixes[prefix], "parameters": parameters}


def _error(description: Description, api: Api, kind: type[ApiError], method: str) -> str:
    """Return the name of the response by which `api` answers errors of a kind; those of reads may lag."""
    lag = _lag(api, method)
    name = f"{api.error_form.schema.root}{kind.status}{'ToRead' if lag else ''}"
    responses = description.spec.components.responses
    if name not in responses:
        form = api.form_of(kind)
        content = _content(description, form.offers, [form.schema])
        if kind is errors.NotAcceptable:
            content = {form.offers.media_types[0]: content[form.offers.media_types[0]]}
        more = _WITH.get(kind, ())
        # A refused caller is not counted.
        limits = () if kind in (errors.Unauthorized, errors.Forbidden) else _limits(api)
        sometimes = (*_SOMETIMES.get(kind, ()), *lag, *limits)
        # An API may refuse a caller without a valid key as it refuses one whose key lacks the role.
        is_refusal = api.access is not None and kind is api.access.refusal
        told: list[type[ApiError]] = [errors.Unauthorized, kind] if is_refusal else [kind]
        about = " ".join(each.description or each.message for each in dict.fromkeys(told))
        description.spec.components.response(name, _response(about, content, (*_ALWAYS, *more), sometimes))
    return name


def _lag(api: Api, method: str) -> tuple[str, ...]:
    return (AS_OF,) if api.access and method == "GET" else ()


def _limits(api: Api) -> tuple[str, ...]:
    return _WHERE_LIMITED if api.access and api.access.shows_usage else ()


def _response(about: str, content: Json, always: tuple[str, ...], sometimes: tuple[str, ...] = ()) -> Json:
    headers = {}
    for name in (*always, *sometimes):
        meaning, schema = _HEADERS[name]
        headers[name] = {"description": meaning, "schema": schema, "required": name in always}
    return {"description": about, "headers": headers} | ({"content": content} if content else {})
