"""On what was measured."""

import os
import platform
import sqlite3
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from notifhist.server.settings import cpu_count

_LIBRARIES = ("flask", "gunicorn", "lxml", "marshmallow", "orjson", "peewee")


def surroundings() -> dict[str, Any]:
    """Return date, versions, and what machine this is."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpus": cpu_count(),
        "load_before": os.getloadavg()[0],
        "libraries": {name: version(name) for name in _LIBRARIES} | {"sqlite": sqlite3.sqlite_version},
    }
