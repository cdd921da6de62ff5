"""Alertmanager: its webhooks become items, none is lost while the service is away, and none is there twice."""

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.senders.lab import CONFIGURATIONS
from tests.system.conftest import MakeService
from tests.system.service import Service, free_port, wait_until

AWAY_S = 20
DEDUP_S, REPEAT_S = 2, 4


class Alertmanager:
    """An Alertmanager that notifies a service alone."""

    def __init__(self, folder: Path, url: str, key: str, repeat: str) -> None:
        text = (CONFIGURATIONS / "alertmanager.yml").read_text()
        for name, value in {"URL": url, "KEY": key, "REPEAT": repeat}.items():
            text = text.replace(f"@{name}@", value)
        config = folder / "alertmanager.yml"
        config.write_text(text)
        address = f"127.0.0.1:{free_port()}"
        self._api = f"http://{address}/api/v2/alerts"
        self._log = folder / "alertmanager.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *("prometheus-alertmanager", f"--config.file={config}", f"--storage.path={folder / 'data'}"),
                    *(f"--web.listen-address={address}", "--cluster.listen-address=", "--log.level=debug"),
                ],
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: self._is_there() or None)

    def _is_there(self) -> bool:
        try:
            return requests.get(self._api, timeout=5).ok
        except requests.ConnectionError:
            return False

    def send(self, name: str, *, resolved: bool = False) -> None:
        """Send an alert as Prometheus does: one that is over has ended."""
        labels = {"alertname": name, "instance": "db3.example.net:9100"}
        alert: dict[str, Any] = {"labels": labels, "annotations": {"summary": f"{name} of db3"}}
        if resolved:
            alert["endsAt"] = datetime.now(UTC).isoformat()
        assert requests.post(self._api, json=[alert], timeout=5).ok, self.log()

    def log(self) -> str:
        """Return what it has said."""
        return self._log.read_text()


@pytest.fixture
def service(sqlite_database: str, make_service: MakeService) -> Service:
    made = make_service(sqlite_database, workers=1, bind=f"127.0.0.1:{free_port()}", FEED_DEDUP_S=str(DEDUP_S))
    return made.start()


@pytest.fixture
def make_alertmanager(service: Service, tmp_path: Path) -> Iterator[Any]:
    started: list[Alertmanager] = []

    def make(repeat: str) -> Alertmanager:
        key = service.create_key("monitoring:creator")
        started.append(Alertmanager(tmp_path, f"{service.url}/feeds/alertmanager", key, repeat))
        return started[-1]

    yield make
    for each in started:
        each.process.send_signal(signal.SIGTERM)
        each.process.wait(30)


class History:
    """The deliveries of the service, as the outcomes of notifications."""

    def __init__(self, service: Service) -> None:
        self._client = service.client(service.create_key())

    def seen(self) -> Counter[tuple[str, str]]:
        """Return how often there is an item of each alarm and state."""
        values = self._client.get_json("/deliveries")["values"]
        return Counter((each["alarm_id"], each["state"]) for each in values)

    def outcomes(self) -> set[str]:
        """Return the outcomes that there are."""
        return {each["outcome"] for each in self._client.get_json("/deliveries")["values"]}


def test_the_first_notification_a_repetition_and_the_resolution_are_items(
    service: Service, make_alertmanager: Any
) -> None:
    alertmanager, history = make_alertmanager(f"{REPEAT_S}s"), History(service)
    alertmanager.send("DiskWillFill")
    wait_until(lambda: history.seen()["DiskWillFill", "firing"] == 1, 10)
    wait_until(lambda: history.seen()["DiskWillFill", "firing"] == 2, 20)
    alertmanager.send("DiskWillFill", resolved=True)
    wait_until(lambda: history.seen()["DiskWillFill", "resolved"] == 1, 10)
    time.sleep(2 * REPEAT_S)  # a resolution is not repeated
    assert history.seen()["DiskWillFill", "resolved"] == 1
    assert history.seen()["DiskWillFill", "firing"] in (2, 3)
    assert history.outcomes() == {"unknown"}


def test_while_the_service_is_away_nothing_is_lost_and_nothing_is_there_twice(
    service: Service, make_alertmanager: Any
) -> None:
    alertmanager, history = make_alertmanager("1h"), History(service)
    alertmanager.send("Before")
    wait_until(lambda: history.seen() == {("Before", "firing"): 1}, 10)
    service.kill()
    back_s = time.monotonic() + AWAY_S
    alertmanager.send("During")
    alertmanager.send("Before", resolved=True)
    wait_until(lambda: "Notify attempt failed" in alertmanager.log() or None, 20)
    time.sleep(max(0.0, back_s - time.monotonic()))
    service.start()
    expected = {("Before", "firing"): 1, ("Before", "resolved"): 1, ("During", "firing"): 1}
    wait_until(lambda: history.seen() == expected, 30)
    alertmanager.send("After")
    wait_until(lambda: ("After", "firing") in history.seen(), 10)
    time.sleep(DEDUP_S + 1)
    assert history.seen() == {**expected, ("After", "firing"): 1}
