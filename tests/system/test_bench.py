"""The benchmark, whole but tiny: that it can be run and says all it should, nothing of how fast anything is."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from bench import run, scale
from bench.data import TENANT, store
from bench.idiomatic import Idiomatic
from bench.report import markdown
from bench.servers import ROOT, Asked, Bench, Service
from bench.workloads import JSON, MOST_COSTS, RUN, gets

_OPTIONS = ("--workers", "1", "--threads", "2")


@pytest.fixture
def cache() -> Iterator[Path]:
    # Not below pytest's folder: PostgreSQL runs as another user than root, and may not enter there.
    with tempfile.TemporaryDirectory(prefix="notifhist-bench-") as folder:
        yield Path(folder)


def columns(table: dict[str, Any]) -> dict[str, list[Any]]:
    return dict(zip(table["heads"], zip(*table["rows"], strict=True), strict=True))


def test_a_run_measures_every_workload_on_every_server(cache: Path) -> None:
    # The load generator raises for any answer that is not, byte for byte, the one that was given before.
    results = run.run(run.Plan(rounds=2, seconds=0.05, items=100, runs=400), cache)
    assert json.loads(json.dumps(results)) == results
    rates, cpu, wanted = results["tables"]
    assert [row[0].split()[0] for row in rates["rows"]] == list(RUN)
    for name in ("ceiling", "service", "idiomatic", "service/ceiling", "idiomatic/ceiling"):
        for of_rates, of_cpu in zip(columns(rates)[name], columns(cpu)[name], strict=True):
            assert len(of_rates["rounds"]) == len(of_cpu["rounds"]) == 2
            assert all(rate > 0 for rate in of_rates["rounds"])
    assert [row[0] for row in wanted["rows"]] == [
        *(f"{name}, service/ceiling" for name in RUN),
        *(f"{name}, seconds of a request" for name in MOST_COSTS),
    ]
    assert all(f"| {name}" in markdown(results) for name in (*RUN, *MOST_COSTS))


def test_a_run_may_be_of_some_workloads_and_on_postgresql(cache: Path) -> None:
    plan = run.Plan(rounds=1, seconds=0.05, only="W1,W6", database="postgres", items=100, runs=300)
    results = run.run(plan, cache)
    assert [row[0] for row in results["tables"][0]["rows"]] == ["W1 item, JSON", "W6 250 runs of a status"]
    assert "on postgres" in results["remark"]


def test_the_service_is_compared_with_that_of_another_checkout_run_by_its_own_code(cache: Path, tmp_path: Path) -> None:
    for name in ("notifhist", "schemas"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True)
    trace = tmp_path / "imported"
    with (tmp_path / "notifhist" / "__init__.py").open("a") as code:
        code.write(f"open({str(trace)!r}, 'a').close()\n")
    plan = run.Plan(rounds=2, seconds=0.05, only="W1,W4", beside=tmp_path, items=100, runs=100)
    rates, cpu = run.run(plan, cache)["tables"]
    assert trace.exists()
    for table in (rates, cpu):
        assert table["heads"][1:4] == ["beside", "service", "service/beside"]
        assert [len(row[3]["rounds"]) for row in table["rows"]] == [2, 2]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Asked, Asked]]:
    """What the service and the idiomatic application answer over the same data, by workload."""
    with Bench("sqlite", tmp_path_factory.mktemp("cache")) as bench:
        service, idiomatic = Service(bench.database("service")), Idiomatic(bench.database("idiomatic"))
        stored = store([service, idiomatic], bench.scratch, items=2200, item_bytes=2000, runs=2000)
        key = service.create_key(TENANT)
        servers = [bench.serve(name, each, *_OPTIONS) for name, each in (("a", service), ("b", idiomatic))]
        yield gets(RUN, stored, servers[0], key), gets(RUN, stored, servers[1], key)


@pytest.mark.parametrize("name", RUN)
def test_the_idiomatic_application_answers_as_the_service_does(asked: tuple[Asked, Asked], name: str) -> None:
    expected, found = (each[name] for each in asked)
    assert expected
    for ours, theirs in zip(expected, found, strict=True):
        assert ours.asked == theirs.asked
        if RUN[name].accept == JSON:
            assert json.loads(theirs.body or b"") == json.loads(ours.body or b"")
        else:
            texts = [etree.canonicalize((each.body or b"").decode(), strip_text=True) for each in (ours, theirs)]
            assert texts[0] == texts[1]


def test_pages_are_full_and_deep_and_searches_find_some(asked: tuple[Asked, Asked]) -> None:
    def documents(name: str) -> list[Any]:
        return [json.loads(request.body or b"") for request in asked[0][name]]

    assert {len(page["values"]) for page in documents("W3")} == {100}
    assert 1000 in {len(page["values"]) for page in documents("W5")}
    assert all(len(page["runs"]) == min(page["total"], 250) for page in documents("W6"))
    deep = documents("W7")
    assert [page["page"] for page in deep] == [int(0.9 * max(0, page["total"] // 250 - 1)) for page in deep]
    assert max(page["page"] for page in deep) > 0
    assert all(20 <= page["total"] <= 200 for page in documents("W8"))


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_sizes_are_compared_on_both_databases(kind: str, cache: Path) -> None:
    plan = scale.Plan(largest=400, smallest=200, rounds=2, database=kind)
    (table,) = json.loads(json.dumps(scale.scale(plan, cache)))["tables"]
    assert table["heads"] == [kind, "200 items", "400 items", "bare", "400 items/200 items", "bare/200 items"]
    assert [row[0].split()[0] for row in table["rows"]] == list(scale.TITLES)
    for _, *cells in table["rows"]:
        assert all(len(each["rounds"]) == 2 and min(each["rounds"]) > 0 for each in cells)
