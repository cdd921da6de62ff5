"""For programs that embed Apprise: put what became of each notification into the spool of `notifhist-run`."""

import logging
import os
from functools import wraps
from typing import Any, TypeVar

from notifhist.feeds.apprise_results import map_result
from notifhist.feeds.feed import Origin
from notifhist.feeds.payloads import read_json
from notifhist.run.settings import load_settings
from notifhist.run.spool import spool_record

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
AnyApprise = TypeVar("AnyApprise")


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
    settings, host = load_settings({}, os.environ), os.uname().nodename
    if not settings.tenant:
        raise ValueError("no tenant: set NOTIFHIST_TENANT, or `tenant` in /etc/notifhist/run.toml")
    if not hasattr(result, "iter_json"):
        raise ValueError("this is no result of Apprise 2.0 or later")
    payload = {
        "entity_id": entity or host,
        "from": host,
        **about,
        "result": read_json("".join(result.iter_json()).encode()),
    }
    mapped = map_result(payload, Origin(settings.tenant, received_ticks=0))
    if not mapped.items:
        raise ValueError(f"the result is not understood: {', '.join(mapped.ignored)}")
    for each in mapped.items:
        place = {"entity_id": each.entity_id, "alarm_id": each.alarm_id, "check_id": each.check_id}
        spool_record(settings.spool, {"tenant": settings.tenant, **place, "item": each.item})
