"""The results of Apprise from 2.0 on: every service that was notified, with each attempt and its log.

In a program that embeds Apprise, `record` and `watch` put each result into the spool of `notifhist-run`, whose timer
sends it. The mapping is pure; these two alone import the spool. Source: caronc/apprise, apprise/result.py.
"""

import logging
import os
from functools import wraps
from typing import Any, TypeVar

from notifhist.feeds.feed import Derived, Feed, Mapped, Origin
from notifhist.feeds.item_ids import item_id
from notifhist.feeds.path_ids import path_id
from notifhist.feeds.payloads import elements, kept, members, read_json, text, ticks_of, without_empty
from notifhist.schemas.document import Document
from notifhist.schemas.fields import TICKS_PER_MS

NAME = "apprise"
_SUCCESS, _TIMEOUT = "SUCCESS", "TIMEOUT"
_GAVE_UP = "TIMEOUT: Apprise stopped waiting; the notification may still arrive"
_NOT_MADE = "TIMEOUT: the time was up before this attempt began"
_MS_PER_S, _MAX_S = 1000, 10**9

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
AnyApprise = TypeVar("AnyApprise")


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


def record(
    result: Result,
    *,
    entity: str = "",
    alarm: str = "",
    check: str = "",
    state: str = "",
    title: str = "",
    plan: str = "",
) -> Result:
    """Put what `notify` or `async_notify` returned into the spool, and return it.

    `entity` is this host unless it is given. Never raises: what cannot be written is logged as a warning. Tenant and
    spool are those of `notifhist-run` (docs/feeds.md).
    """
    try:
        _spool(result, entity=entity, alarm_id=alarm, check_id=check, state=state, title=title, plan=plan)
    except Exception as problem:  # noqa: BLE001 - the notification is sent, whatever becomes of its record
        logger.warning("A notification is not recorded: %s", problem)
    return result


def watch(
    apprise: AnyApprise, *, entity: str = "", alarm: str = "", check: str = "", state: str = "", plan: str = ""
) -> AnyApprise:
    """Have `record` called with each result of an `Apprise` object, and return the object.

    The title is that of the notification, and the state its `notify_type` unless one is given.
    """
    notify, async_notify = apprise.notify, apprise.async_notify  # type: ignore[attr-defined]  # any version's

    def keep(result: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        said = dict(zip(("body", "title", "notify_type"), arguments, strict=False)) | named
        kind = said.get("notify_type", "info")
        told = {"title": _text_of(said.get("title", "")), "state": state or _text_of(getattr(kind, "value", kind))}
        return record(result, entity=entity, alarm=alarm, check=check, plan=plan, **told)

    @wraps(notify)
    def notify_and_record(*arguments: Any, **named: Any) -> Any:
        return keep(notify(*arguments, **named), arguments, named)

    @wraps(async_notify)
    async def async_notify_and_record(*arguments: Any, **named: Any) -> Any:
        return keep(await async_notify(*arguments, **named), arguments, named)

    apprise.notify, apprise.async_notify = notify_and_record, async_notify_and_record  # type: ignore[attr-defined]
    return apprise


def _text_of(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _spool(result: Any, *, entity: str, **about: str) -> None:
    """Write a result into the spool. Raises whatever prevents it."""
    from notifhist.run.settings import load_settings
    from notifhist.run.spool import spool_record

    settings, host = load_settings({}, os.environ), os.uname().nodename
    if not settings.tenant:
        raise ValueError("no tenant: set NOTIFHIST_TENANT, or `tenant` in /etc/notifhist/run.toml")
    if not hasattr(result, "iter_json"):
        raise ValueError("this is no result of Apprise 2.0 or later")
    payload = {"entity_id": entity or host, "from": host, **about, "result": read_json(_json_of(result))}
    mapped = map_result(payload, Origin(settings.tenant, received_ticks=0))
    if not mapped.items:
        raise ValueError(f"the result is not understood: {', '.join(mapped.ignored)}")
    for each in mapped.items:
        place = {"entity_id": each.entity_id, "alarm_id": each.alarm_id, "check_id": each.check_id}
        spool_record(settings.spool, {"tenant": settings.tenant, **place, "item": each.item})


def _json_of(result: Any) -> bytes:
    return "".join(result.iter_json()).encode()


FEED = Feed(NAME, "The result of a notification that Apprise 2.0 or later sent", map_result)
