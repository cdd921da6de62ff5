"""The benchmark, whole but tiny: that it can be run and says all it should, nothing of how fast anything is."""

import json
import tempfile
from pathlib import Path

import psycopg
import pytest

from bench import report, run, scale
from bench.cache import Prepared, prepare
from bench.data import even
from bench.targets import SqliteFile
from bench.workloads import FLOORS, MOST_COSTS, TITLES

PLAN = run.Plan(rounds=2, seconds=0.05, runs=400, checks=2, items_per_check=12)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_a_run_measures_every_workload_on_every_server(cache: Path) -> None:
    # The load generator raises for any answer that is not, byte for byte, the one that was given before.
    results = json.loads(json.dumps(run.run(PLAN, cache)))
    assert list(results["workloads"]) == list(TITLES)
    for name, workload in results["workloads"].items():
        for server in ("service", "ceiling", "idiomatic"):
            rates = workload[server]["per_second"]
            assert len(rates) == 2
            assert workload[server]["answers"] >= len(rates)
            assert all(rate > 0 for rate in rates)
            assert workload[server]["p50_ms"] <= workload[server]["p99_ms"]
        assert workload["floor"] == FLOORS[name]
        assert (
            len(workload["ratio"]["service"]["rounds"]) == len(workload["ratio"]["idiomatic"]["rounds"]) == 2
        )
    assert list(results["costs"]) == list(MOST_COSTS)
    assert all(len(cost["rounds"]) == 2 for cost in results["costs"].values())
    for name in (*TITLES, *MOST_COSTS):
        assert f"| {name}" in report.markdown(results)


def test_a_run_may_be_of_some_workloads_and_on_a_database_of_the_users(
    cache: Path, postgres_url: str
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS bench")
        connection.execute("CREATE DATABASE bench")
    url = postgres_url.replace("/postgres?", "/bench?")
    plan = run.Plan(1, 0.05, runs=300, checks=2, items_per_check=12, only=("W1", "W6"), url=url)
    results = run.run(plan, cache)
    assert list(results["workloads"]) == ["W1", "W6"]
    assert results["costs"] == {}
    assert results["plan"]["url"] == "postgresql"  # and nothing else of it: there may be a password in it


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_sizes_are_compared_on_both_databases(kind: str) -> None:
    plan = scale.Plan(largest=400, smallest=200, rounds=2, places=4, requests=3)
    # Not below pytest's folder: PostgreSQL runs as another user than root, and may not enter there.
    with tempfile.TemporaryDirectory(prefix="notifhist-bench-") as cache:
        results = json.loads(json.dumps(scale.scale(plan, [kind], Path(cache))))
    found = results["databases"][kind]
    assert found["sizes"] == [200, 400]
    assert list(found["workloads"]) == list(scale.TITLES)
    for workload in found["workloads"].values():
        assert workload["ratio"]["200"]["rounds"] == [1, 1]
        assert len(workload["ratio"]["400"]["rounds"]) == 2
        assert all(ms > 0 for ms in workload["ms"]["400"]["rounds"])


def prepared(folder: Path, runs: int) -> Prepared:
    target = SqliteFile(folder / "sqlite")
    return prepare(folder, target, even(1, 20, runs), {1: 5}, lambda n: None)


def test_a_data_set_is_built_once_and_anew_for_other_parameters(tmp_path: Path) -> None:
    first = prepared(tmp_path, runs=10)
    assert prepared(tmp_path, runs=10) == first
    assert prepared(tmp_path, runs=11) != first


def test_a_data_set_that_was_not_finished_is_built_anew(tmp_path: Path) -> None:
    first = prepared(tmp_path, runs=10)
    (tmp_path / "meta.json").unlink()
    assert prepared(tmp_path, runs=10) != first


def test_a_data_set_whose_items_are_about_to_expire_is_built_anew(tmp_path: Path) -> None:
    first = prepared(tmp_path, runs=10)
    meta = json.loads((tmp_path / "meta.json").read_text())
    old = meta | {"now_ms": meta["now_ms"] - 5 * 86_400_000}
    (tmp_path / "meta.json").write_text(json.dumps(old))
    assert prepared(tmp_path, runs=10).now_ms >= first.now_ms
