"""A spool, and a service that gets what is in it."""

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from notifhist.run.ids import item_id
from notifhist.run.spool import spool_record
from tests.run.runs import Runs
from tests.system.commands import run
from tests.system.service import Service

CREATOR = "monitoring:creator"


class Sending:
    """A spool, a service, and the key for it in a file."""

    def __init__(self, folder: Path, service: Service) -> None:
        base = folder / "spool"
        base.mkdir()
        self.runs, self.service, self.key_file = Runs(base), service, folder / "key"
        self.tenant = f"of-{folder.name}"
        self.renew_key()

    def renew_key(self, *roles: str, tenant: str = "") -> None:
        """Put another key into the file; unless told otherwise, one that may send."""
        self.key_file.write_text(self.service.create_key(*(roles or (CREATOR,)), tenant=tenant or self.tenant) + "\n")

    def variables(self) -> dict[str, str]:
        """Return the settings of those that send."""
        settings = {"URL": self.service.url, "KEY_FILE": str(self.key_file), "TENANT": self.tenant}
        return {f"NOTIFHIST_{name}": value for name, value in settings.items()}

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start `notifhist spool flush`."""
        command = [sys.executable, "-m", "notifhist.cli", "spool", "flush", *options]
        environ = self.runs.environment(self.variables())
        return subprocess.Popen(command, text=True, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def flush(self, *options: str, code: int = 0) -> str:
        """Return what `notifhist spool flush` says, in this process."""
        settings = {"SPOOL": str(self.runs.base), "RUN_CONFIG": "/nowhere"}
        ours: Any = {name.removeprefix("NOTIFHIST_"): value for name, value in self.variables().items()} | settings
        return run("", "spool", "flush", *options, code=code, **ours).output

    def items(self) -> list[Any]:
        """Return the items of the check of `put`."""
        key = self.key_file.read_text().strip()
        path = f"/v1.0/{self.tenant}/entities/enOne/alarms/alOne/notification_history/chOne?limit=1000"
        answer = self.service.ask(path, key)
        values: list[Any] = answer.json()["values"] if answer.status_code == 200 else []
        return values

    def has(self, number: int) -> bool:
        """Say whether the history has so many items."""
        return len(self.items()) >= number

    def put(self, number: int = 1, **members: object) -> list[str]:
        """Put records into the spool; return their ids."""
        return [self._put(n, members) for n in range(number)]

    def _put(self, n: int, members: Mapping[str, object]) -> str:
        ns = time.time_ns() - 1_000_000_000 + n * 1000
        item: dict[str, object] = {
            "id": item_id(ns, str(n)),
            "timestamp": ns // 1_000_000,
            "state": "OK",
            "notification_results": [],
        }
        item |= members
        place = {"tenant": self.tenant, "entity_id": "enOne", "alarm_id": "alOne", "check_id": "chOne"}
        spool_record(str(self.runs.base), {**place, "item": item})
        return str(item["id"])


def ids_of(items: list[Any]) -> list[str]:
    return [item["id"] for item in items]
