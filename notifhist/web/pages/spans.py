"""The spans of time that a page offers: `since=24h` is short for a `from` so long before now."""

from collections.abc import Mapping

from werkzeug.datastructures import MultiDict

from notifhist.config import MS_PER_DAY
from notifhist.errors import BadRequest, name_problems

SINCE: Mapping[str, int] = {"24h": 1, "7d": 7, "30d": 30}
"""The values of `since`, with their days."""


def with_since(args: MultiDict[str, str], now_ms: int) -> MultiDict[str, str]:
    """Return the parameters with `from` for `since`, unless they have both. Raises BadRequest for no such span."""
    since = args.get("since")
    if since is None:
        return args
    if since not in SINCE:
        raise BadRequest(details=name_problems({"since": f"Must be one of {', '.join(SINCE)}."}))
    given = MultiDict(args)
    given.setdefault("from", str(now_ms - SINCE[since] * MS_PER_DAY))
    return given
