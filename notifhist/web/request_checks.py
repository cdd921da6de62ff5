"""The checks before each view: the key, the role, the rate limit, the URL, and the format of the answer.

The contract gives the order: the key is checked before anything else in the request; only a URL that is no route is
404 for everybody (docs/contract.md, "Who may ask" and "Rate limit").
"""

import time
from random import getrandbits
from typing import Any

import flask
from flask import Request, Response, current_app
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import Rule

from notifhist import errors
from notifhist.auth import ApiKey
from notifhist.metrics import NOT_FORWARDED, NOT_TRUSTED
from notifhist.schemas.fields import PATH_ID, is_path_id
from notifhist.store.database import ERRORS
from notifhist.web import cors
from notifhist.web.apis import api_of
from notifhist.web.context import READING, Service, connect, current_service, host, valid_key
from notifhist.web.declarations import Access, Api, View
from notifhist.web.pages.links import way_to_pages
from notifhist.web.shortcuts import unwrap


def check_request() -> Response | None:
    """Let the request through to its view, or raise the ApiError that refuses it; return the answer to a preflight.

    Sets in Flask's `g`: `started`, `request_id` and `api`, and for a request that is let through `view`, `source` (of
    the answer), `key` and `usage` (if its API has keys), `format` and `media_type` (if its view negotiates),
    `named_type` (if it was named in the query string).
    """
    request, context, service = unwrap(flask.request), unwrap(flask.g), current_service()
    context.started = time.perf_counter()
    context.request_id = f"{getrandbits(128):032x}"
    rule, ids = _matched(request)
    view = service.views[rule.endpoint] if rule is not None else None
    context.api = api = view.api if view is not None else api_of(request.path, service.apis)
    if view is None and (way := way_to_pages(request)):
        return way
    if view is not None and (answer := cors.preflight_answer(request, api, service.settings.cors_origins)):
        return answer
    if api.access is not None:
        _check_access(request, context, view, ids)
    if view is None:
        raise errors.NotFound
    if request.routing_exception is not None:
        return None  # Flask raises it: 405
    context.view = view
    if view.body is not None:
        request.max_content_length = view.body.largest_bytes
    if view.content and view.body is None:
        return None  # nothing that the request says changes such an answer
    _check_url(request, ids)
    if view.content:
        return None
    media_type = _named_type(request, context, view) if view.format_parameter else None
    media_type = media_type or view.offers.accepted_by(request.environ.get("HTTP_ACCEPT"))
    context.media_type = media_type
    if media_type is None:
        raise errors.NotAcceptable(f"Nothing acceptable can be answered; accept {view.offers}.")
    context.format = view.offers[media_type]
    return None


def _named_type(request: Request, context: Any, view: View) -> str | None:
    """Return the media type that the query string names by a word, None if it does not; sets `g.named_type`.

    Raises BadRequest for a word that means no format of the view.
    """
    word = request.args.get("format")
    if word is None:
        return None
    named = view.offers.of_word(word)
    if named is None:
        problem = f"{word!r} is none of {', '.join(each.word for each in view.offers)}."
        raise errors.BadRequest(details=errors.name_problems({"format": problem}))
    context.named_type = media_type = named.media_types[0]
    return media_type


def _matched(request: Request) -> tuple[Rule | None, dict[str, Any]]:
    """Return the rule and ids of the request's URL, whatever its method; None if it is no route."""
    if request.environ["PATH_INFO"].startswith("//"):
        return None, {}  # Werkzeug takes several leading slashes for one
    if request.url_rule is not None:
        return request.url_rule, request.view_args or {}
    refused = request.routing_exception
    if not isinstance(refused, MethodNotAllowed) or not refused.valid_methods:
        return None, {}
    routes = current_app.url_map.bind("", path_info=request.path)
    rule, ids = routes.match(method=next(iter(refused.valid_methods)), return_rule=True)
    return rule, dict(ids)


def _check_access(request: Request, context: Any, view: View | None, ids: dict[str, Any]) -> None:
    """Raise the ApiError that refuses the caller; remove the tenant from `ids`, since views take it from the key."""
    service, access = current_service(), context.api.access
    try:
        context.key = key = _find_caller(request, context, service, access)
        if view is not None:  # if the URL does not have the method, no role is needed
            _authorize(key, None if request.url_rule is None else view.role, ids)
            _look_at_proxies(request, service)
    except (access.refusal, errors.Forbidden, errors.Unavailable, *ERRORS):
        if view is None:
            raise errors.NotFound from None
        raise
    _count(context, service, access)


def _find_caller(request: Request, context: Any, service: Service, access: Access) -> ApiKey:
    """Return the caller's key, from where the request is answered from: `g.source`. Raises the refusal of the API."""
    connect(service)
    try:
        return _authenticate(request, service, context.api, access)
    except ERRORS as error:
        context.source = service.sources.instead(error, may_lag=request.method in READING)
        return _authenticate(request, service, context.api, access)


def _authenticate(request: Request, service: Service, api: Api, access: Access) -> ApiKey:
    """Return the caller's key. Raises the refusal of the API, and counts a key that is refused."""
    if access.find_caller is not None:
        return access.find_caller(request)
    token = _key_of(request, access)
    if key := valid_key(service, token):
        return key
    if token:
        service.metrics.refused_key(api.name)
    usage = access.headers[0].usage
    raise access.refusal(f"No valid key: send one that is neither expired nor revoked as {usage}.")


def _key_of(request: Request, access: Access) -> str:
    """Return the key that the request brings, "" if none: only the first header that is there is read."""
    environ = request.environ
    name = next((each.environ_name for each in access.headers if each.environ_name in environ), "")
    keys = (each.key_in(environ[name]) for each in access.headers if each.environ_name == name)
    return next(filter(None, keys), "")


def _authorize(key: ApiKey, role: str | None, ids: dict[str, Any]) -> None:
    """Raise Forbidden unless the key is of the tenant in the URL, if one is there, and has the role."""
    if ids.pop("tenant_id", key.tenant) != key.tenant:
        raise errors.Forbidden
    if role is not None and not key.allows(role):
        raise errors.Forbidden(f"This key may not do that; it lacks the role {role}.")


def _look_at_proxies(request: Request, service: Service) -> None:
    """Count a request that was let through, and whether it came through too few proxies, or ones that nobody trusts."""
    service.metrics.let_through()
    forwarded, trusted = request.environ.get("HTTP_X_FORWARDED_FOR"), service.settings.trusted_proxies
    if forwarded is None and not trusted:
        return
    if trusted == 0:
        service.metrics.proxy_mismatch(NOT_TRUSTED)
    elif forwarded is None or forwarded.count(",") + 1 < trusted:
        service.metrics.proxy_mismatch(NOT_FORWARDED)


def _count(context: Any, service: Service, access: Access) -> None:
    """Count the request; sets `g.usage`, if it is to be shown. Raises RateLimitReached."""
    if access.rate_limit is None:
        return
    usage = service.rate_limiters[access.rate_limit].charge(access.account(context.key))
    context.usage = usage if access.shows_usage else None
    if usage is not None and usage.exceeded:
        service.metrics.rate_limited(context.api.name)
        raise errors.RateLimitReached(
            details=f"{usage.limit} requests in {usage.window}.", headers={"Retry-After": str(usage.retry_after)}
        )


def _check_url(request: Request, ids: dict[str, Any]) -> None:
    """Raise BadRequest for a malformed Host, id in the path or query string."""
    host(request)  # before a record is stored, since its answer has a URL with the host
    try:
        request.environ["PATH_INFO"].encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        raise errors.BadRequest("An id in the URL is not UTF-8.") from None
    wrong = {name: PATH_ID for name, value in ids.items() if not is_path_id(value)}
    if wrong:
        raise errors.BadRequest("An id in the URL does not fit.", errors.name_problems(wrong))
    try:
        request.query_string.decode()
    except UnicodeDecodeError:
        raise errors.BadRequest("The query string is not UTF-8.", "Percent-encode it as UTF-8.") from None
