"""What the published client rackspace-monitoring finds, as JSON; run by the interpreter that has it.

Arguments: what is asked (a name in ASKED), URL of the tenant, key, and the ids of entity, alarm and check.
"""

import json
import sys
from types import SimpleNamespace
from typing import Any

from libcloud.common.exceptions import BaseHTTPError  # type: ignore[import-not-found]
from rackspace_monitoring.drivers.rackspace import (  # type: ignore[import-not-found]
    RackspaceMonitoringValidationError,
)
from rackspace_monitoring.providers import get_driver  # type: ignore[import-not-found]
from rackspace_monitoring.types import Provider  # type: ignore[import-not-found]

NOT_OF_THE_ANSWER = {"driver"}


def shown(found: Any) -> dict[str, Any]:
    """Return the attributes that the client gives to what it finds."""
    return {name: value for name, value in vars(found).items() if name not in NOT_OF_THE_ANSWER}


def history(driver: Any, *ids: str) -> dict[str, Any]:
    """Return the checks of an alarm, and the items of a check both ways."""
    entity, alarm, check = (SimpleNamespace(id=each) for each in ids)
    return {
        "checks": driver.ex_list_alarm_notification_history_checks(entity, alarm),
        "items": list(driver.ex_list_alarm_notification_history(entity, alarm, check)),
        "reverse": list(driver.ex_list_alarm_notification_history(entity, alarm, check, reverse=True)),
    }


def register(driver: Any, entity_id: str, alarm_id: str, check_id: str) -> dict[str, Any]:
    """Return the limits, everything that has history, and each of it by its id."""
    entity = driver.get_entity(entity_id)
    return {
        "limits": driver.ex_limits(),
        "entities": list(map(shown, driver.list_entities())),
        "alarms": list(map(shown, driver.list_alarms(entity))),
        "checks": list(map(shown, driver.list_checks(entity))),
        "entity": shown(entity),
        "alarm": shown(driver.get_alarm(entity_id, alarm_id)),
        "check": shown(driver.get_check(entity_id, check_id)),
        "entities_from": list(map(shown, driver.list_entities(ex_next_marker=entity_id))),
    }


def command_line(driver: Any, entity_id: str, alarm_id: str, check_id: str) -> dict[str, Any]:
    """Return a history as `raxmon-alarms-notification-history-list` of rackspace-monitoring-cli 0.7.3 asks for it."""
    entity = driver.get_entity(entity_id=entity_id)
    check = driver.get_check(entity_id=entity_id, check_id=check_id)
    alarm = driver.get_alarm(entity_id=entity_id, alarm_id=alarm_id)
    found = driver.ex_list_alarm_notification_history(entity=entity, alarm=alarm, check=check, reverse=True)
    return {"items": list(found)}


def logs(driver: Any, entity_id: str, *_: str) -> dict[str, Any]:
    """Return the changes of alarms, those of an entity too, and the suppressions."""
    entity = SimpleNamespace(id=entity_id)
    lists = {
        "changelogs": driver.list_alarm_changelog(),
        "reverse": driver.list_alarm_changelog(reverse=True),
        "of entity": driver.list_alarm_changelog(entity=entity),
        "of entity, reverse": driver.list_alarm_changelog(entity=entity, reverse=True),
        "suppressions": driver.list_suppression_logs(),
    }
    return {name: list(map(shown, found)) for name, found in lists.items()}


ASKED = {each.__name__: each for each in (history, register, command_line, logs)}


def ask(asked: str, url: str, key: str, *ids: str) -> dict[str, Any]:
    """Return what the client finds out, or the error that it raises."""
    driver = get_driver(Provider.RACKSPACE)(
        "user", "secret", secure=False, ex_force_base_url=url, ex_force_auth_token=key
    )
    try:
        return ASKED[asked](driver, *ids)
    except RackspaceMonitoringValidationError as error:
        members = {name: getattr(error, name) for name in ("type", "code", "message", "details")}
        return {"error": type(error).__name__, "members": members}
    except BaseHTTPError as error:
        return {"error": type(error).__name__, "code": error.code, "members": error.message}


if __name__ == "__main__":
    json.dump(ask(*sys.argv[1:]), sys.stdout)
