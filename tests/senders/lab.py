"""A folder in which a real tool watches one service, whose state is in a file, and notifies by a wrapped command."""

import grp
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.conftest import TENANT
from tests.run.runs import Runs
from tests.system.service import PATIENCE_S, Service, wait_until

CONFIGURATIONS = Path(__file__).parent
WRAPPER = Path(sys.executable).with_name("notifhist-run")
WITHIN_S = 10.0
"""How long after a change the history has the notification."""
OK, WARNING, CRITICAL = 0, 1, 2

CHECK = """#!/bin/sh
read -r state < {folder}/state
echo "$state" >> {folder}/checked
echo "state $state: /var is 97% full | used=97%"
exit "$state"
"""
NOTIFY = """#!/bin/sh
# Tells what it was called with, takes as long as the test wants, and ends as the test wants.
for word in "$@"; do printf '%s|' "$word"; done >> {folder}/called
cat > {folder}/input
grep SigIgn /proc/self/status > {folder}/ignored
echo >> {folder}/called
echo "connecting"
[ -e {folder}/hang ] && exec sleep 60
echo "cannot connect" >&2
exit "$(cat {folder}/code)"
"""


class Lab:
    """The folder, the spool in it, and the service that the spool is sent to."""

    def __init__(self, folder: Path, service: Service) -> None:
        self.folder, self.service = folder, service
        spool = folder / "spool"
        spool.mkdir()
        spool.chmod(0o1733)
        self.runs = Runs(spool)
        key_file = folder / "key"
        self._key = service.create_key("monitoring:creator")
        key_file.write_text(self._key)
        self.config = folder / "run.toml"
        settings = {"url": service.url, "key_file": key_file, "tenant": TENANT, "spool": spool}
        self.config.write_text("".join(f'{name} = "{value}"\n' for name, value in settings.items()))
        for name, text in (("check.sh", CHECK), ("notify", NOTIFY), ("mail-service-notification.sh", NOTIFY)):
            (folder / name).write_text(text.format(folder=folder))
            (folder / name).chmod(0o755)
        self.set_state(OK)
        self.set_code(3)
        self.user, self.group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def wrapper(self) -> Sequence[str]:
        """Return the wrapper as these tools call it; the variable stands for /etc/notifhist/run.toml."""
        return ("/usr/bin/env", f"NOTIFHIST_RUN_CONFIG={self.config}", str(WRAPPER))

    def set_state(self, state: int) -> None:
        """Set the state of what is watched."""
        (self.folder / "state").write_text(f"{state}\n")

    def set_code(self, code: int) -> None:
        """Set the exit code of the notification command."""
        (self.folder / "code").write_text(f"{code}\n")

    def let_hang(self) -> None:
        """Let the notification command take longer than any tool waits."""
        (self.folder / "hang").touch()

    def configure(self, name: str, **values: object) -> Path:
        """Write a configuration, with a value for each @NAME@; return its path."""
        text = (CONFIGURATIONS / name).read_text()
        common = {"FOLDER": self.folder, "USER": self.user, "GROUP": self.group}
        for key, value in (common | values).items():
            text = text.replace(f"@{key}@", str(value))
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def start(self, *command: str | Path, **variables: str) -> None:
        """Start the tool; it ends with the test."""
        with (self.folder / "tool.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    [*map(str, command)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={"PATH": os.environ["PATH"]} | variables,
                    start_new_session=True,
                )
            )

    def log(self) -> str:
        """Return what the tool has said."""
        return (self.folder / "tool.log").read_text()

    def items(self, entity: str = "db3.example.net", alarm: str = "disk ∕var") -> list[Any]:
        """Return the items of the service that is watched, oldest first; none while there are none."""
        path = f"/v1.0/{TENANT}/entities/{entity}/alarms/{alarm}/notification_history/{alarm}"
        answer = self.service.ask(path, self._key)
        found: list[Any] = answer.json()["values"] if answer.status_code == 200 else []
        return found

    def wait_for(self, state: str, *place: str) -> Any:
        """Return the one item of a state, once its command has ended; fail if that takes too long."""

        def finished() -> Any:
            items = [item for item in self.items(*place) if item["state"] == state]
            return items and not items[0]["notification_results"][0]["in_progress"] and items[0]

        try:
            return wait_until(finished, WITHIN_S)
        except AssertionError:
            raise AssertionError(f"no item of {state}; {self.runs.names()}; {self.log()[-3000:]}") from None

    def wait_for_checks(self) -> None:
        """Wait until the tool has seen that all is well: it notifies of changes."""
        checked = self.folder / "checked"
        try:
            wait_until(lambda: checked.exists() and checked.read_text().count("0") > 1, 30)
        except AssertionError:
            raise AssertionError(f"nothing was checked; {self.log()[-3000:]}") from None

    def calls(self) -> list[str]:
        """Return what the command was called with, its words separated by bars."""
        called = self.folder / "called"
        return called.read_text().splitlines() if called.exists() else []

    def ignores_broken_pipes(self) -> bool:
        """Say whether the command ignored SIGPIPE."""
        return bool(int((self.folder / "ignored").read_text().split()[1], 16) >> (signal.SIGPIPE - 1) & 1)

    def flush(self) -> None:
        """Do what the timer does every minute."""
        command = [sys.executable, "-m", "notifhist.cli", "spool", "flush"]
        done = subprocess.run(
            command,
            env=os.environ | {"NOTIFHIST_RUN_CONFIG": str(self.config)},
            capture_output=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, done.stderr

    def clean_up(self) -> None:
        """End the tool."""
        for process in self._processes:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def result_of(item: Any) -> Any:
    (result,) = item["notification_results"]
    return result


def assert_a_change_while_the_history_is_away_is_there_once(lab: Lab) -> None:
    """Have the started tool notify while the service is down; start that again."""
    lab.service.kill()
    lab.set_state(CRITICAL)
    wait_until(lab.runs.records)
    wait_until(lab.calls)
    lab.service.start()
    assert result_of(lab.wait_for("CRITICAL"))["attempts"][0]["exit_code"] == 3
    assert len(lab.items()) == len(lab.calls()) == 1
