import os
import subprocess
import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from notifhist.metrics import MULTIPROCESS_DIR, Metrics

ROOT = Path(__file__).parents[2]


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return the value of each series by its name and sorted labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples(metrics.render()[0]).get((name, tuple(sorted(labels.items()))))


def test_it_counts_requests_by_method_route_and_status() -> None:
    metrics = Metrics()
    for seconds in (0.002, 0.02):
        metrics.observe("GET", "/healthz", 200, seconds)
    metrics.observe("GET", "/healthz", 503, 3.0)
    requests = "notifhist_requests_total"
    assert value(metrics, requests, method="GET", route="/healthz", status="200") == 2
    assert value(metrics, requests, method="GET", route="/healthz", status="503") == 1
    assert value(metrics, "notifhist_request_seconds_count", route="/healthz") == 3
    assert value(metrics, "notifhist_request_seconds_bucket", route="/healthz", le="0.01") == 1


def test_labels_do_not_grow_with_what_clients_send() -> None:
    metrics = Metrics()
    metrics.observe("BREW", "", 404, 0.001)
    metrics.observe("X" * 20, "", 404, 0.001)
    assert value(metrics, "notifhist_requests_total", method="other", route="none", status="404") == 2


def test_it_counts_what_is_recorded_from_zero() -> None:
    metrics = Metrics()
    metrics.recorded("item", 3)
    assert value(metrics, "notifhist_recorded_total", kind="item") == 3
    for kind in ("run", "log", "attempt"):
        assert value(metrics, "notifhist_recorded_total", kind=kind) == 0


def test_it_counts_refusals_by_api() -> None:
    metrics = Metrics()
    metrics.rate_limited("runs")
    assert value(metrics, "notifhist_rate_limited_total", api="runs") == 1


def test_two_apps_in_one_process_stay_apart() -> None:
    one, other = Metrics(), Metrics()
    one.recorded("run", 1)
    assert value(other, "notifhist_recorded_total", kind="run") == 0


def test_it_is_prometheus_text_without_the_times_of_creation() -> None:
    body, content_type = Metrics().render()
    assert content_type.startswith("text/plain")
    assert b"# TYPE notifhist_recorded_total counter" in body
    assert b"_created" not in body


def run(directory: Path, code: str) -> bytes:
    """Run `code` in a process that counts in files of `directory`; return its standard output."""
    environ = os.environ | {MULTIPROCESS_DIR: str(directory), "PYTHONPATH": str(ROOT)}
    code = f"from notifhist.metrics import Metrics\nmetrics = Metrics()\n{code}"
    return subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, check=True, timeout=60).stdout


RENDER = "import sys; sys.stdout.buffer.write(metrics.render()[0])"


def test_processes_add_up_and_the_dead_still_count(tmp_path: Path) -> None:
    for amount in (1, 2, 3):
        run(tmp_path, f"metrics.recorded('item', {amount}); metrics.observe('GET', '/a', 200, 0.02)")
    run(
        tmp_path,
        "import os; from prometheus_client.multiprocess import mark_process_dead\n"
        "metrics.recorded('item', 10); mark_process_dead(os.getpid())",
    )
    found = samples(run(tmp_path, RENDER))
    assert found["notifhist_recorded_total", (("kind", "item"),)] == 16
    assert found["notifhist_requests_total", (("method", "GET"), ("route", "/a"), ("status", "200"))] == 3
    assert found["notifhist_request_seconds_count", (("route", "/a"),)] == 3
    assert found["notifhist_request_seconds_bucket", (("le", "0.01"), ("route", "/a"))] == 0
    assert found["notifhist_request_seconds_bucket", (("le", "0.025"), ("route", "/a"))] == 3


def test_several_apps_of_one_process_do_not_overwrite_each_other(tmp_path: Path) -> None:
    out = run(tmp_path, f"other = Metrics()\nmetrics.recorded('run', 1); other.recorded('run', 1)\n{RENDER}")
    assert samples(out)["notifhist_recorded_total", (("kind", "run"),)] == 2


def test_forked_processes_count_each_for_itself(tmp_path: Path) -> None:
    out = run(
        tmp_path,
        "import os\nmetrics.recorded('run', 1)\nchild = os.fork()\nmetrics.recorded('run', 1)\n"
        f"if not child: os._exit(0)\nos.waitpid(child, 0)\n{RENDER}",
    )
    assert samples(out)["notifhist_recorded_total", (("kind", "run"),)] == 3


def test_a_process_that_just_starts_does_not_disturb_the_others(tmp_path: Path) -> None:
    out = run(tmp_path, f"metrics.recorded('run', 1); open({str(tmp_path / 'counter_1.db')!r}, 'w').close()\n{RENDER}")
    assert samples(out)["notifhist_recorded_total", (("kind", "run"),)] == 1
