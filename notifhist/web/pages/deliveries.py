"""The one list: what was sent to whom."""

from flask import Response

from notifhist.auth import OBSERVER
from notifhist.web.apis import PAGES
from notifhist.web.declarations import View
from notifhist.web.pages.rendering import PAGE, page


@View(PAGES, "GET", "/deliveries", "Look at deliveries", OBSERVER, offers=PAGE)
def show_deliveries() -> Response:
    """Show a page of deliveries."""
    return page("deliveries.html")
