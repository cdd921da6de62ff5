"""Templates as answers. Each page is made by `page`, which gives it the frame: navigation, theme, assets."""

from http import HTTPStatus
from typing import Any, NamedTuple

from flask import g, has_request_context, request
from jinja2 import Environment, PackageLoader, StrictUndefined
from marshmallow import fields

from notifhist.auth import ApiKey, hide_secrets
from notifhist.schemas.document import Document, DocumentSchema
from notifhist.serializers.formats import CHARSET, Format, Formats
from notifhist.serializers.stored import StoredDocument
from notifhist.web.context import current_service
from notifhist.web.pages import formatting
from notifhist.web.pages.assets import assets
from notifhist.web.pages.links import HTML_TYPE, ROOT, absolute, here, page_url, path_of
from notifhist.web.pages.states import state_kind
from notifhist.web.shortcuts import Response, unwrap

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
"""What every answer below /ui bears, beside what all answers bear. Source: docs/pages.md, "Security"."""
NAVIGATION = {"Overview": "/", "Deliveries": "/deliveries", "Alarms": "/alarms", "Runs": "/runs"}
"""The pages of the navigation by their words: the paths of their views, whose roles say who sees the link."""
THEMES = ("light", "dark")
THEME_COOKIE = "nh_theme"
"""The cookie of who has chosen one of THEMES; everybody else has the theme of the system."""


class NavigationLink(NamedTuple):
    """A link of the navigation."""

    word: str
    url: str
    is_current: bool


class PageErrorSchema(DocumentSchema):
    """What the page of an error shows; dumped from an `ErrorReport`."""

    details = fields.String(required=True, attribute="error.details")
    message = fields.String(required=True, attribute="error.message")
    request_id = fields.String(required=True)
    retry_after = fields.String(attribute="error.headers.Retry-After", dump_default="")
    status = fields.Integer(required=True, attribute="error.status")
    title = fields.String(required=True)


def static(name: str) -> str:
    """Return the URL of an asset."""
    return page_url("static", assets()[name].hash, name)


def page(template: str, status: HTTPStatus = HTTPStatus.OK, **context: Any) -> Response:
    """Return a template as the answer to the request; `context` is added to what the frame knows."""
    body = render(template, **context).encode("utf-8", "replace")  # a lone surrogate is no UTF-8
    response = Response(body, status, content_type=HTML_TYPE + CHARSET)
    response.headers["Content-Length"] = str(len(body))
    return response


def render(template: str, **context: Any) -> str:
    """Return a template as text, with what the frame knows: see `_frame`. No key is in it, wherever it was typed in."""
    return hide_secrets(_ENVIRONMENT.get_template(template).render({**_frame(), **context}))


def may(role: str | None) -> bool:
    """Say whether the caller's key has a role; False if there is no key."""
    key: ApiKey | None = unwrap(g).get("key") if has_request_context() else None
    return key is not None and (role is None or key.allows(role))


def _frame() -> dict[str, Any]:
    """Return what every template may use: `theme`, `key`, `user`, `navigation`, `now_ms`, `oldest_ms`, …."""
    if not has_request_context():  # the server itself refuses a request
        return {
            **dict.fromkeys(("theme", "key", "user", "request_id", "tz", "lagging")),
            "navigation": (),
            "now_ms": 0,
            "oldest_ms": None,
        }
    context, theme = unwrap(g), request.cookies.get(THEME_COOKIE)
    session = context.get("session")
    return {
        "theme": theme if theme in THEMES else None,
        "tz": "local" if request.args.get("tz") == "local" else None,
        "key": context.get("key"),
        "user": session and session.user,
        "navigation": _navigation(),
        "now_ms": current_service().clock.now_ms(),
        "oldest_ms": current_service().oldest_ms(),
        "request_id": context.request_id,
        "lagging": source if (source := context.get("source")) and source.may_lag else None,
    }


def _navigation() -> list[NavigationLink]:
    """Return the links to the pages that are there and that the key may see."""
    roles = {view.path: view.role for view in current_service().views.values() if view.api is unwrap(g).api}
    shown = {word: path for word, path in NAVIGATION.items() if path in roles and may(roles[path])}
    part = request.path.removeprefix(ROOT).split("/")[1:2]
    current = f"/{'alarms' if part == ['entities'] else ''.join(part)}"
    return [NavigationLink(word, page_url(path[1:]), path == current) for word, path in shown.items()]


def _error_page(document: Document | StoredDocument, schema: DocumentSchema) -> list[bytes]:
    """Return the page of an error, from its document."""
    days = current_service().settings.retention_days if has_request_context() else 0
    return [render("error.html", error=document, days=days).encode("utf-8", "replace")]


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    links = (page_url, here, absolute, path_of, static, may, formatting.link_of, formatting.may_be_linked)
    environment.globals |= {each.__name__: each for each in (*links, formatting.moment, formatting.pairs)}
    environment.filters |= {
        **{each.__name__: each for each in (formatting.iso, formatting.utc, formatting.age, formatting.span)},
        **{each.__name__: each for each in (formatting.short, state_kind)},
    }
    return environment


_ENVIRONMENT = _environment()
PAGE_ERROR = PageErrorSchema()
HTML = Format("HTML", (HTML_TYPE,), _error_page, parameters=CHARSET)
"""Pages. Only errors are rendered from a document; every other page is made by `page`."""
PAGE = Formats(HTML)
"""What the view of a page offers."""
