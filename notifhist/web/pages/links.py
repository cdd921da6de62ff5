"""The URLs of pages: below the path under which the service is published."""

from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import quote, urlencode, urlsplit

from flask import Request, has_request_context, request
from werkzeug.datastructures import MultiDict

from notifhist.auth import hide_secrets
from notifhist.serializers.formats import JSON_AND_XML
from notifhist.serializers.negotiation import choose
from notifhist.web.context import current_service, host
from notifhist.web.shortcuts import Response

HTML_TYPE = "text/html"
_WITHOUT_TIMES = frozenset({"static", "login", "logout", "theme"})
ROOT = "/ui"
"""The path of all pages; the cookie of a session goes there alone."""


def base_path() -> str:
    """Return the path that all links begin with: that of NOTIFHIST_PUBLIC_URL, else the prefix that a proxy names."""
    if not has_request_context():
        return ""
    public_url = current_service().settings.public_url
    return quote(urlsplit(public_url).path if public_url else request.root_path, safe="/%").rstrip("/")


def page_url(*parts: str, **query: object) -> str:
    """Return the URL of the page at `parts` below /ui/, each one part of the path, however it is written.

    A parameter of the query may be a text, a number, or a list of them; None is left out. Who reads times in their own
    zone goes on to do so.
    """
    if not {*parts[:1]} & _WITHOUT_TIMES and has_request_context() and request.args.get("tz") == "local":
        query.setdefault("tz", "local")
    path = base_path() + ROOT + path_of(*parts)
    pairs = [(name.rstrip("_"), value) for name, value in query.items() if value is not None]
    return f"{path or '/'}{'' if parts else '/'}" + (f"?{_encoded(pairs)}" if pairs else "")


def path_of(*parts: str) -> str:
    """Return the path at `parts`, however they are written."""
    return "".join(f"/{_quoted(part)}" for part in parts)


@lru_cache(maxsize=1024)
def _quoted(part: str) -> str:
    """Return a part of a path as a URL has it; a page names the same entities and alarms again and again."""
    return quote(part, safe="", errors="surrogateescape")


def here(**replaced: object) -> str:
    """Return the URL of the page that is asked for, with other parameters; one that is None is left out."""
    named = {name.rstrip("_"): value for name, value in replaced.items()}
    kept = [(name, value) for name, value in request.args.items(multi=True) if name not in named]
    pairs = [*kept, *((name, value) for name, value in named.items() if value is not None)]
    return base_path() + quote(request.path, safe="/") + (f"?{_encoded(pairs)}" if pairs else "")


def filled(args: MultiDict[str, str]) -> MultiDict[str, str]:
    """Return the parameters that are not empty: a form sends the fields that nobody filled in too."""
    return MultiDict([(name, value) for name, value in args.items(multi=True) if value])


def absolute(url: str) -> str:
    """Return the absolute form of a URL that begins with a slash."""
    public_url = current_service().settings.public_url
    parts = urlsplit(public_url)
    origin = f"{parts.scheme}://{parts.netloc}" if public_url else f"{request.scheme}://{host(request)}"
    return origin + url


def see_other(url: str) -> Response:
    """Return the answer that sends a browser on to `url` with GET, 303, less what is secret in it."""
    response = Response(b"", HTTPStatus.SEE_OTHER, content_type="text/plain")
    response.headers["Location"] = hide_secrets(url)
    return response


def way_to_pages(asked: Request) -> Response | None:
    """Return the answer to who asks for / and prefers a page: the way there. None for everybody else."""
    if asked.environ["PATH_INFO"] != "/" or asked.method not in ("GET", "HEAD") or not current_service().settings.pages:
        return None
    preferred = choose(asked.environ.get("HTTP_ACCEPT"), (*JSON_AND_XML.media_types, HTML_TYPE))
    return see_other(page_url()) if preferred == HTML_TYPE else None


def _encoded(pairs: Sequence[tuple[str, object]]) -> str:
    return urlencode(pairs, doseq=True, quote_via=quote, errors="surrogateescape")
