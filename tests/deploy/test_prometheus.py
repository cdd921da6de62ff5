"""The alerts and the dashboard: checked by promtool, and evaluated by a real Prometheus that reads a real service."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import TENANT
from tests.http.helpers import CHECK, RUNS, item_at, run_of
from tests.system.service import PATIENCE_S, ROOT, Client, Service, free_port, running, wait_until

RULES = ROOT / "deploy/prometheus/notifhist.rules.yml"
DASHBOARD = json.loads((ROOT / "deploy/grafana/notifhist.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
WEBHOOK = json.loads((ROOT / "tests/payloads/alertmanager-0.25-webhook-1-firing.json").read_text())
TARGETS = [target for panel in PANELS for target in panel["targets"]]
EXPRESSIONS = [target["expr"] for target in TARGETS]
CONFIG = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: notifhist
    static_configs: [{{targets: ["{service}"]}}]
"""


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, timeout=PATIENCE_S, cwd=RULES.parent
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_sound() -> None:
    promtool("check", "rules", RULES)


def test_the_rules_alert_when_they_should() -> None:
    promtool("test", "rules", "notifhist.rules.test.yml")


def test_each_rule_has_a_test_that_alerts_and_one_that_does_not() -> None:
    tests = (RULES.parent / "notifhist.rules.test.yml").read_text()
    for name in re.findall(r"alert: (\w+)", RULES.read_text()):
        assert re.search(rf"alertname: {name}\n +exp_alerts:\n", tests), name
        assert re.search(rf"alertname: {name}, exp_alerts: \[\]", tests), name


def test_the_dashboard_has_the_shape_of_one() -> None:
    assert (DASHBOARD["id"], DASHBOARD["uid"], DASHBOARD["title"]) == (None, "notifhist", "notifhist")
    assert DASHBOARD["schemaVersion"] >= 36
    assert [each["name"] for each in DASHBOARD["templating"]["list"]] == ["datasource", "job", "instance"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in PANELS:
        assert panel["type"] in ("stat", "timeseries")
        assert panel["title"]
        assert panel["description"]
        for source in (panel, *panel["targets"]):
            assert source["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs) > 0


def test_no_panel_covers_another() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert all(each["x"] >= 0 and each["x"] + each["w"] <= 24 for each in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above


def ask_for_all(service: Service) -> None:
    """Have each metric of a service count something."""
    client = service.client(service.create_key())
    now_ms = time.time_ns() // 1_000_000
    for number, success in enumerate((True, False)):
        result = {"notification_id": "ntOne", "notification_type": "email", "success": success}
        assert client.post(CHECK, item_at(now_ms, number, notification_results=[result])).status_code == 201
    assert client.post(RUNS, run_of()).status_code == 201
    assert client.get(CHECK, **{"X-Forwarded-For": "192.0.2.1"}).status_code == 200  # a proxy that is not trusted
    for _ in range(2):  # the second is a repetition
        assert client.post(f"/v1.0/{TENANT}/feeds/alertmanager", WEBHOOK).status_code == 200


@pytest.fixture(scope="module")
def service(sqlite_tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that has counted something of each metric."""
    folder = tmp_path_factory.mktemp("service")
    database = shutil.copy(sqlite_tables, folder)
    with running(Service(folder, {"DATABASE_URL": f"sqlite:///{database}"}, workers=1)) as service:
        ask_for_all(service)
        yield service


def counted(service: Service) -> dict[str, set[str]]:
    """Return the labels of each metric that a service has."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(service.ask("/metrics").text):
        found[family.name] = set()
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_the_labels_that_alerts_and_panels_name_are_counted(service: Service) -> None:
    metrics = counted(service)
    of_prometheus = {"job", "instance"}
    text = RULES.read_text() + (RULES.parent / "notifhist.rules.test.yml").read_text() + "\n".join(EXPRESSIONS)
    for name, labels in re.findall(r"\b(notifhist_\w+)\{([^}]*)\}", text):
        assert set(re.findall(r'(\w+)(?:=|!=|=~|!~)"', labels)) <= metrics[name] | of_prometheus, name


@pytest.fixture(scope="module")
def prometheus(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A Prometheus that reads the service each second, and evaluates the rules."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text(CONFIG.format(rules=RULES, service=service.url.removeprefix("http://")))
    promtool("check", "config", folder / "prometheus.yml")
    address = f"127.0.0.1:{free_port()}"
    command = ["prometheus", f"--web.listen-address={address}", f"--config.file={folder}/prometheus.yml"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--storage.tsdb.path={folder}/data"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": os.environ["PATH"]},
        )
    client = Client(f"http://{address}", None)

    def is_up() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        with suppress(requests.ConnectionError):
            return client.get("/-/ready").status_code == 200
        return False

    try:
        wait_until(is_up)
        yield client
    finally:
        client.session.close()
        process.terminate()
        process.wait(PATIENCE_S)


def values(prometheus: Client, expression: str) -> list[Any]:
    """Return what Prometheus answers to an expression of the dashboard, as Grafana asks it."""
    for name, value in {"job": "notifhist", "instance": ".*", "__rate_interval": "1m", "__range": "1h"}.items():
        expression = expression.replace(f"${name}", value)
    assert "$" not in expression
    answer = prometheus.request("GET", "/api/v1/query", params={"query": expression})
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()["data"]["result"]
    return found


def test_prometheus_has_an_answer_for_each_panel(service: Service, prometheus: Client) -> None:
    def answer(expression: str) -> list[Any]:
        found = [each for each in values(prometheus, expression) if each["value"][1] != "NaN"]
        if not found:
            ask_for_all(service)
            time.sleep(0.5)
        return found

    for target in TARGETS:
        found = wait_until(partial(answer, target["expr"]))
        named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        assert all(named <= each["metric"].keys() for each in found), target
    for variable in DASHBOARD["templating"]["list"][1:]:
        selector = re.fullmatch(r"label_values\((.+), (job|instance)\)", variable["query"]["query"])
        assert selector is not None
        assert values(prometheus, selector[1])[0]["metric"][selector[2]]


def test_prometheus_can_evaluate_each_alert(prometheus: Client) -> None:
    def rules() -> Any:
        (group,) = prometheus.get_json("/api/v1/rules")["data"]["groups"]
        return all(rule["health"] != "unknown" for rule in group["rules"]) and group["rules"]

    assert {(rule["health"], rule.get("lastError", "")) for rule in wait_until(rules)} == {("ok", "")}
