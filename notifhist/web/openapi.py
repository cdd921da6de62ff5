"""The contract as OpenAPI: paths, methods and roles from the routes, members and parameters from the schemas.

HEAD is not described: it is GET without the body (RFC 9110, 9.3.2), and generated clients would get a useless
method out of each.
"""

import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import current_app
from marshmallow import Schema, fields, validate
from werkzeug.routing import Rule

from notifhist import errors
from notifhist.errors import ApiError
from notifhist.schemas.document import DocumentSchema
from notifhist.schemas.error import FAULT, PROBLEM, RUN_ERROR
from notifhist.schemas.fields import MAX_PATH_ID, JsonInteger, Text, TimeUuid
from notifhist.schemas.history import ATTEMPT, DISCOVERY, HISTORY_CONTAINER, HISTORY_PAGE, ITEM
from notifhist.schemas.query import HISTORY_QUERY, RUNS_QUERY
from notifhist.schemas.runs import RUN, RUNS_CONTAINER, RUNS_PAGE
from notifhist.web.context import required_role
from notifhist.web.openapi_fields import Description, Json
from notifhist.web.responses import FORMATS, PROBLEM_JSON

_ABOUT = (
    "What an alerting system sent, and every attempt to deliver it. HEAD works wherever GET does. Another "
    "method answers 405, with `Allow` and the error document of its API. Unknown query parameters are "
    "ignored. `Accept` chooses between JSON, the default, and XML."
)


@dataclass(frozen=True)
class _View:
    """What neither the route nor the signature of a view tells.

    `answers` has the headers, beside those of every answer, by status; an answer of 200 or 201 is any of
    `documents`, a body any of `bodies`. `links` are views to go on with.
    """

    answers: Mapping[int, tuple[str, ...]]
    documents: tuple[DocumentSchema, ...] = ()
    errors: tuple[type[ApiError], ...] = ()
    bodies: tuple[DocumentSchema, ...] = ()
    query: Schema | None = None
    links: tuple[str, ...] = ()


_READ = {200: ("ETag",), 304: ("ETag",)}
_RECORDED = {200: ("Location",), 201: ("Location",)}
_REPLACED = {200: ("ETag",), 201: ("ETag", "Location")}

_VIEWS = {
    "list_checks": _View({200: ()}, (DISCOVERY,)),
    "list_items": _View({200: ()}, (HISTORY_PAGE,), query=HISTORY_QUERY),
    "get_item": _View(_READ, (ITEM,), (errors.NotFound,)),
    "record_items": _View(
        _RECORDED, (ITEM, HISTORY_PAGE), bodies=(ITEM, HISTORY_CONTAINER), links=("get_item", "delete_item")
    ),
    "replace_item": _View(_REPLACED, (ITEM,), bodies=(ITEM,), links=("get_item", "delete_item")),
    "delete_item": _View({204: ()}, (), (errors.NotFound,), links=("get_item",)),
    "add_attempt": _View({201: ("ETag",)}, (ITEM,), (errors.NotFound,), (ATTEMPT,), links=("get_item",)),
    "list_runs": _View({200: ()}, (RUNS_PAGE,), query=RUNS_QUERY),
    "get_run": _View(_READ, (RUN,), (errors.NotFound,)),
    "record_runs": _View(
        _RECORDED, (RUN, RUNS_CONTAINER), (errors.RunConflict,), (RUN, RUNS_CONTAINER), links=("get_run",)
    ),
    "replace_run": _View(_REPLACED, (RUN,), bodies=(RUN,), links=("get_run",)),
}

_OPERATIONS: dict[str, tuple[str, Json, tuple[type[ApiError], ...]]] = {
    "healthz": ("application/json", {"type": "object"}, ()),
    "readyz": ("application/json", {"type": "object"}, (errors.Unavailable,)),
    "metrics": ("text/plain", {"type": "string"}, ()),
    "openapi": ("application/json", {"type": "object"}, ()),
    "xsd": ("application/xml", {"type": "object", "xml": {"name": "schema"}}, ()),
}
"""Of the operations' views: media type and schema of the answer, and the errors."""


@dataclass(frozen=True)
class _Api:
    """What the operations of a blueprint have in common."""

    tag: str
    error: DocumentSchema
    errors: tuple[type[ApiError], ...]
    security: tuple[str, ...] = ()
    suffix: str = ""


_KEYED = (
    errors.BadRequest,
    errors.Forbidden,
    errors.NotAcceptable,
    errors.RateLimitReached,
    errors.InternalError,
    errors.Unavailable,
)
_HISTORY = _Api(
    "Alarm notification history", FAULT, (*_KEYED, errors.Unauthorized), ("X-Auth-Token", "Bearer")
)
_APIS = {
    "tenant_history": _HISTORY,
    # Two operations of one id would be one method of a generated client.
    "history": _Api(_HISTORY.tag, FAULT, _HISTORY.errors, _HISTORY.security, suffix="_of_own_tenant"),
    "runs": _Api("Notification runs", RUN_ERROR, _KEYED, ("Bearer", "X-Auth-Token")),
    "operations": _Api("Operations", FAULT, (errors.InternalError,)),
}
"""What stands under the name of each blueprint."""

_ID = Text(
    validate=[validate.Length(1, MAX_PATH_ID), validate.Regexp(r"^[^/\x00-\x1f\x7f-\x9f]*$")],
    metadata={"description": "any characters but a slash and controls, percent-encoded UTF-8"},
)
_PATH_FIELDS: dict[str, fields.Field[Any]] = {"uuid": TimeUuid(), "run_id": JsonInteger()}

_HEADERS: dict[str, tuple[str, Json]] = {
    "X-Response-Id": ("The id of this answer; errors repeat it.", {"type": "string"}),
    "Vary": ("What else the answer depends on.", {"type": "string"}),
    "X-RateLimit-Limit": ("Requests in a window.", {"type": "integer"}),
    "X-RateLimit-Used": ("Requests used of this window.", {"type": "integer"}),
    "X-RateLimit-Window": ("How long a window is, in words.", {"type": "string"}),
    "X-RateLimit-Type": ("Who shares the limit.", {"type": "string"}),
    "Retry-After": ("Seconds to wait.", {"type": "integer"}),
    "Location": ("The absolute URL of what was recorded.", {"type": "string", "format": "uri"}),
    "ETag": ("Tells the bytes of this answer from others.", {"type": "string"}),
    "Allow": ("The methods that this URL knows.", {"type": "string"}),
}
_ALWAYS = ("X-Response-Id", "Vary")
_WHERE_LIMITED = tuple(name for name in _HEADERS if name.startswith("X-RateLimit"))


def describe() -> dict[str, object]:
    """Return the contract as an OpenAPI document, for the routes of the current application."""
    description = Description("Notification history", "1.0", info={"description": _ABOUT})
    components = description.spec.components
    components.security_scheme("X-Auth-Token", {"type": "apiKey", "in": "header", "name": "X-Auth-Token"})
    components.security_scheme("Bearer", {"type": "http", "scheme": "bearer"})
    for api in (_HISTORY, _APIS["runs"]):
        _error(description, api, errors.MethodNotAllowed)  # no described method answers it
    blueprints = list(_APIS)
    rules = current_app.url_map.iter_rules()
    for rule in sorted(
        rules, key=lambda rule: (blueprints.index(rule.endpoint.partition(".")[0]), rule.rule)
    ):
        operation = _operation(description, rule)
        methods = (rule.methods or set()) - {"HEAD"}
        parameters = [_path_parameter(description, name) for name in re.findall(r"<(\w+)>", rule.rule)]
        description.spec.path(
            re.sub(r"<(\w+)>", r"{\1}", rule.rule),
            operations={method.lower(): operation for method in methods},
            parameters=parameters,
        )
    return description.to_dict()


def _path_parameter(description: Description, name: str) -> Json:
    schema = description.field(_PATH_FIELDS.get(name, _ID))
    about = {"description": schema.pop("description")} if "description" in schema else {}
    return {"name": name, "in": "path", "required": True, **about, "schema": schema}


def _operation(description: Description, rule: Rule) -> Json:
    blueprint, _, name = rule.endpoint.partition(".")
    api, function = _APIS[blueprint], current_app.view_functions[rule.endpoint]
    operation: Json = {
        "tags": [api.tag],
        "operationId": name + api.suffix,
        "summary": (inspect.getdoc(function) or "").partition(".")[0],
    }
    if name in _OPERATIONS:
        media_type, schema, more = _OPERATIONS[name]
        answers: dict[str, Json | str] = {"200": _response("OK", {media_type: {"schema": schema}}, _ALWAYS)}
        kinds: tuple[type[ApiError], ...] = (*api.errors, *more)
    else:
        view = _VIEWS[name]
        operation["description"] = f"Needs the role `{required_role(rule.endpoint)}`."
        operation["security"] = [{scheme: []} for scheme in api.security]
        operation["parameters"] = _parameters(description, view)
        if view.bodies:
            operation["requestBody"] = {"required": True, "content": _content(description, view.bodies)}
        answers = {str(status): _answer(description, api, view, status, rule) for status in view.answers}
        too = (errors.RequestTooLarge, errors.UnsupportedMediaType) if view.bodies else ()
        kinds = (*api.errors, *view.errors, *too)
    answers |= {str(kind.status): _error(description, api, kind) for kind in kinds}
    operation["responses"] = dict(sorted(answers.items()))
    return operation


def _parameters(description: Description, view: _View) -> list[Json]:
    parameters = description.parameters(view.query) if view.query else []
    if 304 in view.answers:
        about = "the ETag of what the client has: 304 if that is still it"
        schema = {"type": "string"}
        parameters.append({"name": "If-None-Match", "in": "header", "description": about, "schema": schema})
    return parameters


def _content(description: Description, documents: Iterable[DocumentSchema]) -> Json:
    """Return any of `documents` in each format."""
    content: Json = {}
    for media_type in FORMATS:
        any_of = [description.document(document, xml=media_type != FORMATS[0]) for document in documents]
        content[media_type] = {"schema": any_of[0] if len(any_of) == 1 else {"anyOf": any_of}}
    return content


def _answer(description: Description, api: _Api, view: _View, status: int, rule: Rule) -> Json:
    content = _content(description, view.documents) if status in (200, 201) else None
    # One item or run has an ETag, a container of them none.
    sometimes = ("ETag",) if len(view.documents) > 1 else ()
    always = (*_ALWAYS, *view.answers[status])
    response = _response(HTTPStatus(status).phrase, content, always, (*sometimes, *_limits(api)))
    if view.links:
        response["links"] = {name: _link(rule, name, api) for name in view.links}
    return response


def _link(rule: Rule, name: str, api: _Api) -> Json:
    """Return how to go on with the view `name`: under the same ids, the last of which may be a new one."""
    target = next(current_app.url_map.iter_rules(f"{rule.endpoint.partition('.')[0]}.{name}"))
    parameters = {
        each: f"$request.path.{each}" if each in rule.arguments else "$response.body#/id"
        for each in sorted(target.arguments)
    }
    return {"operationId": name + api.suffix, "parameters": parameters}


def _error(description: Description, api: _Api, kind: type[ApiError]) -> str:
    """Return the name of the response that `api` answers errors of a kind with."""
    name = f"{api.error.root}{kind.status}"
    responses = description.spec.components.responses
    if name not in responses:
        document, formats = api.error, FORMATS
        if kind is errors.NotAcceptable:
            formats = FORMATS[:1]
        elif kind is errors.RateLimitReached and api.error is RUN_ERROR:
            document, formats = PROBLEM, (PROBLEM_JSON,)
        content = {media_type: {"schema": description.document(document)} for media_type in formats}
        more = {errors.RateLimitReached: ("Retry-After",), errors.MethodNotAllowed: ("Allow",)}.get(kind, ())
        # Who is refused is not charged.
        limits = () if kind in (errors.Unauthorized, errors.Forbidden) else _limits(api)
        sometimes = ("Retry-After", *limits) if kind is errors.Unavailable else limits
        # The notification runs tell with 403 what is a 401 elsewhere.
        told = (errors.Unauthorized, kind) if name == "error403" else (kind,)
        about = " ".join(inspect.getdoc(each) or "" for each in told)
        description.spec.components.response(name, _response(about, content, (*_ALWAYS, *more), sometimes))
    return name


def _limits(api: _Api) -> tuple[str, ...]:
    return _WHERE_LIMITED if api.error is FAULT else ()


def _response(
    about: str, content: Json | None, always: tuple[str, ...], sometimes: tuple[str, ...] = ()
) -> Json:
    headers = {}
    for name in (*always, *sometimes):
        meaning, schema = _HEADERS[name]
        headers[name] = {"description": meaning, "schema": schema, "required": name in always}
    return {"description": about, "headers": headers} | ({"content": content} if content else {})
