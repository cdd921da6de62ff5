"""The results of Apprise from 2.0 on: every service that was notified, with each attempt and its log.

Source: caronc/apprise, apprise/result.py.
"""

from typing import Any

from notifhist.feeds.feed import Derived, Feed, Mapped, Origin
from notifhist.feeds.item_ids import item_id
from notifhist.feeds.payloads import elements, kept, members, text, ticks_of, without_empty
from notifhist.run.ids import path_id
from notifhist.schemas.document import Document
from notifhist.schemas.fields import TICKS_PER_MS

NAME = "apprise"
_SUCCESS, _TIMEOUT = "SUCCESS", "TIMEOUT"
_GAVE_UP = "TIMEOUT: Apprise stopped waiting; the notification may still arrive"
_NOT_MADE = "TIMEOUT: the time was up before this attempt began"
_MS_PER_S, _MAX_S = 1000, 10**9


def map_result(payload: Any, origin: Origin) -> Mapped:
    """Return the item of a result, which stands beside what it was about.

    The payload is {"entity_id", "alarm_id", "check_id", "state", "title", "plan", "from", "result"}; `result` is what
    Apprise's `iter_json` writes.
    """
    body = members(payload)
    result, mapped = members(body.get("result")), Mapped()
    if not isinstance(result.get("results"), list):
        mapped.ignored["no_result"] += 1
    elif (ticks := ticks_of(result.get("start_time"))) is None:
        mapped.ignored["no_time"] += 1
    else:
        mapped.items.append(_derived(body, result, ticks, origin.tenant))
    return mapped


def _derived(body: Document, result: Document, ticks: int, tenant: str) -> Derived:
    entity, check = (text(body.get(name)) or NAME for name in ("entity_id", "check_id"))
    place = path_id(entity), path_id(text(body.get("alarm_id"))), path_id(check)
    services = [_result_of(members(each), text(body.get("from")) or NAME) for each in elements(result["results"])]
    overall = text(result.get("status"))
    log = [] if services else _messages(result.get("call_logs"))
    item = {
        "id": item_id(ticks, NAME, tenant, *place),
        "timestamp": ticks // TICKS_PER_MS,
        **without_empty(notification_plan_id=text(body.get("plan"))),
        "state": text(body.get("state")) or "unknown",
        **without_empty(status=text(body.get("title"))),
        "notification_results": services,
        "source": {
            "feed": NAME,
            **without_empty(overall=overall, not_sent="" if services else overall or "unknown", log=log),
        },
    }
    return Derived(*place, item)


def _result_of(service: Document, sender: str) -> Document:
    """Return the result of one service.

    Its outcome is that of the last attempt that was made: Apprise reports SUCCESS for an optional service that failed.
    """
    attempts = [members(each) for each in elements(service.get("attempts"))]
    made = [each for each in attempts if not _was_not_made(each)] or attempts or [service]
    status = text(made[-1].get("status"))
    tags = [each for each in elements(service.get("tag")) if isinstance(each, str)]
    name = text(service.get("name"))
    return {
        "notification_id": text(service.get("url_id")) or name,
        "notification_type": name or "unknown",
        "notification_details": {
            "url": text(service.get("url")),
            **without_empty(tag=tags, max_attempts=kept(service.get("max_attempts"), levels=0)),
        },
        "in_progress": False,
        **_success_of(status),
        "message": _GAVE_UP if status == _TIMEOUT else status,
        "attempts": [_attempt_of(each, sender) for each in attempts],
    }


def _attempt_of(attempt: Document, sender: str) -> Document:
    status, ticks, elapsed = text(attempt.get("status")), ticks_of(attempt.get("start_time")), attempt.get("elapsed")
    lines = _messages(attempt.get("logs"))
    if status == _TIMEOUT:
        lines.append(_NOT_MADE if _was_not_made(attempt) else _GAVE_UP)
    duration = int(elapsed * _MS_PER_S) if isinstance(elapsed, int | float) and 0 <= elapsed < _MAX_S else None
    return {
        "message": "\n".join(lines) or status,
        "from": sender,
        **without_empty(at=None if ticks is None else ticks // TICKS_PER_MS, duration_ms=duration),
        **_success_of(status),
    }


def _was_not_made(attempt: Document) -> bool:
    """Say whether the time was up before an attempt began: such a one is in the list too, with no duration."""
    return attempt.get("status") == _TIMEOUT and attempt.get("elapsed") == 0


def _success_of(status: str) -> dict[str, bool]:
    """Return the member `success`; after a TIMEOUT nobody knows."""
    return {} if status in (_TIMEOUT, "") else {"success": status == _SUCCESS}


def _messages(logs: Any) -> list[str]:
    return [message for entry in elements(logs) if (message := text(members(entry).get("message")))]


FEED = Feed(NAME, "The result of a notification that Apprise 2.0 or later sent", map_result)
