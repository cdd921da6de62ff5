"""The choice between light and dark: a cookie, from which the server renders every page."""

from http import HTTPStatus

from flask import Response, request

from notifhist.web.apis import OPEN_PAGES
from notifhist.web.declarations import View
from notifhist.web.pages.links import ROOT, base_path, see_other
from notifhist.web.pages.rendering import PAGE, THEME_COOKIE, THEMES
from notifhist.web.pages.sessions import MOST_FORM_BYTES, safe_next

_YEAR_S = 365 * 24 * 3600


@View(OPEN_PAGES, "POST", "/theme", "Choose light or dark", answers={HTTPStatus.SEE_OTHER: ("Location",)}, offers=PAGE)
def choose_theme() -> Response:
    """Keep one of THEMES in a cookie, or drop the cookie for any other word, and go back to the page."""
    request.max_content_length = MOST_FORM_BYTES
    theme = request.form.get("theme", "")
    value, age_s = (theme, _YEAR_S) if theme in THEMES else ("", 0)
    response = see_other(safe_next(request.form.get("next", "").removeprefix(base_path())))
    path, is_secure = base_path() + ROOT, request.is_secure
    response.set_cookie(THEME_COOKIE, value, age_s, path=path, secure=is_secure, samesite="Lax")
    return response
