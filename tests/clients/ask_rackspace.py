"""What the published client rackspace-monitoring finds, as JSON; run by the interpreter that has it.

Arguments: URL of the tenant, key, and the ids of entity, alarm and check.
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


def ask(url: str, key: str, entity_id: str, alarm_id: str, check_id: str) -> dict[str, Any]:
    """Return what the client finds out about a check, or the error that it raises."""
    driver = get_driver(Provider.RACKSPACE)(
        "user", "secret", secure=False, ex_force_base_url=url, ex_force_auth_token=key
    )
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
    json.dump(ask(*sys.argv[1:]), sys.stdout)
