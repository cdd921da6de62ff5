"""The limits of a tenant. Contract: docs/contract.md, "Rate limit"."""

from flask import Response, g

from notifhist.auth import OBSERVER
from notifhist.schemas.limits import LIMITS
from notifhist.web.apis import HISTORY
from notifhist.web.declarations import View
from notifhist.web.rate_limits import Usage
from notifhist.web.responses import respond
from notifhist.web.shortcuts import unwrap


@View(HISTORY, "GET", "/limits", "Read the rate limit of the tenant", OBSERVER, (LIMITS,))
def get_limits() -> Response:
    """Answer what the X-RateLimit headers of this answer say."""
    usage: Usage | None = unwrap(g).usage
    limit = usage and {"limit": usage.limit, "used": usage.used, "window": usage.window}
    return respond({"resource": {}, "rate": {"global": limit} if limit else {}}, LIMITS)
