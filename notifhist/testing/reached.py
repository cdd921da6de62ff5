"""Whether a deployed service can be tested: one look at it before all tests, so that they do not fail one by one."""

from __future__ import annotations

import json
from http import HTTPStatus
from http.client import HTTPException
from urllib.parse import quote, urlsplit

from notifhist.testing.answers import ask

_TIMEOUT_S = 10.0


def url_problem(url: str) -> str:
    """Return what is wrong with the text of a URL; empty if nothing is."""
    parts = urlsplit(url)
    try:
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # the port
        fits = False
    return "" if fits else f"--notifhist-url {url}: give a URL such as http://127.0.0.1:8000"


def service_problem(url: str, key: str, tenant: str) -> str:
    """Return what is wrong with a service, a key of it or the key's tenant; empty if nothing is."""
    url = url.rstrip("/")
    try:
        status, message = _look(url, f"/v1.0/{quote(tenant, safe='')}/entities?limit=1", key)
        if status == HTTPStatus.FORBIDDEN:  # it may be a role, too, which not all tests need
            if _look(url, "/entities?limit=1", key)[0] == HTTPStatus.FORBIDDEN:
                return ""
            return f"{url}: the key is of another tenant than {tenant}; give --notifhist-tenant"
    except (OSError, HTTPException) as error:
        return f"{url} does not answer: {error}"
    if status == HTTPStatus.OK:
        return ""
    return f"{url} answers {status} to the key. {message}".rstrip()


def _look(url: str, path: str, key: str) -> tuple[int, str]:
    headers = {"X-Auth-Token": key, "Accept": "application/json"}
    answer = ask("GET", url, path, headers, timeout_s=_TIMEOUT_S)
    try:
        return answer.status, str(json.loads(answer.body)["message"])
    except (ValueError, KeyError, TypeError):
        return answer.status, ""
