"""What the published client rackspace-monitoring finds, as JSON; run by the interpreter that has it.

Arguments: URL of the tenant, key, and the ids of entity, alarm and check; with that of an entity alone, its changelogs.
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


def connect(url: str, key: str) -> Any:
    """Return the client."""
    return get_driver(Provider.RACKSPACE)(
        "user", "secret", secure=False, ex_force_base_url=url, ex_force_auth_token=key
    )


def ask_logs(url: str, key: str, entity_id: str) -> dict[str, Any]:
    """Return what the client finds out about the changes of alarms, those of an entity too, and about suppressions."""
    driver, entity = connect(url, key), SimpleNamespace(id=entity_id)
    lists = {
        "changelogs": driver.list_alarm_changelog(),
        "reverse": driver.list_alarm_changelog(reverse=True),
        "of entity": driver.list_alarm_changelog(entity=entity),
        "of entity, reverse": driver.list_alarm_changelog(entity=entity, reverse=True),
        "suppressions": driver.list_suppression_logs(),
    }
    return {
        name: [{member: value for member, value in vars(log).items() if member != "driver"} for log in logs]
        for name, logs in lists.items()
    }


def ask(url: str, key: str, entity_id: str, alarm_id: str, check_id: str) -> dict[str, Any]:
    """Return what the client finds out about a check, or the error that it raises."""
    driver = connect(url, key)
    entity, alarm, check = (SimpleNamespace(id=each) for each in (entity_id, alarm_id, check_id))
    try:
        return {
            "checks": driver.ex_list_alarm_notification_history_checks(entity, alarm),
            "items": list(driver.ex_list_alarm_notification_history(entity, alarm, check)),
            "reverse": list(driver.ex_list_alarm_notification_history(entity, alarm, check, reverse=True)),
        }
    except RackspaceMonitoringValidationError as error:
        members = {name: getattr(error, name) for name in ("type", "code", "message", "details")}
        return {"error": type(error).__name__, "members": members}
    except BaseHTTPError as error:
        return {"error": type(error).__name__, "code": error.code, "members": error.message}


if __name__ == "__main__":
    json.dump((ask_logs if len(sys.argv) == 4 else ask)(*sys.argv[1:]), sys.stdout)
