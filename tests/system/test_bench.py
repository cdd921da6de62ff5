"""The benchmark, whole but tiny: that it can be run and says all it should, nothing of how fast anything is."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import pages, run, scale
from bench.data import TENANT, store
from bench.idiomatic import Idiomatic
from bench.load_generator import BadAnswer
from bench.report import markdown
from bench.servers import ROOT, Asked, Bench, Service
from bench.workloads import JSON, RUN, get, gets
from bench.wrk import Wrk

IN_JSON = {name: workload for name, workload in RUN.items() if workload.accept == JSON}
_OPTIONS = ("--workers", "1", "--threads", "2")


@pytest.fixture
def cache() -> Iterator[Path]:
    # Not below pytest's folder: PostgreSQL runs as another user than root, and may not enter there.
    with tempfile.TemporaryDirectory(prefix="notifhist-bench-") as folder:
        yield Path(folder)


def names(table: dict[str, Any]) -> list[str]:
    return [row[0] for row in table["rows"]]


def test_a_run_measures_the_workloads_on_every_server(cache: Path) -> None:
    # Before that it raises for any answer of a bare server or a view that is not, byte for byte, the service's.
    plan = run.Plan(rounds=2, seconds=1, fastapi_seconds=1, only="W4,W3", items=100, runs=100)
    results = run.run(plan, cache)
    assert json.loads(json.dumps(results)) == results
    cpu, rates, wanted = results["tables"]
    for table in (cpu, rates):
        assert table["heads"][1:5] == ["bare", "Flask view", "service", "FastAPI"]
        assert names(table) == ["W4 100 items, XML", "W3 100 items, JSON"]
        for row in table["rows"]:
            cells = [row[n] for n in (1, 2, 3, 4, 5) if row[n] != "–"]
            assert len(cells) == (4 if row[0].startswith("W4") else 5)
            assert all(len(each["rounds"]) == 2 and min(each["rounds"]) > 0 for each in cells)
    assert names(wanted) == ["W4/W3, seconds of a request"]
    assert "| W3 100 items, JSON |" in markdown(results)


def test_a_run_may_be_of_one_workload_and_on_postgresql(cache: Path) -> None:
    plan = run.Plan(
        rounds=1, seconds=1, fastapi_seconds=1, threads=3, only="W6", database="postgres", items=100, runs=300
    )
    results = run.run(plan, cache)
    assert [names(table) for table in results["tables"]] == [["W6 250 runs of a status"]] * 2
    assert "on postgres" in results["remark"]


def test_what_wrk_reports_as_an_error_ends_it(cache: Path) -> None:
    with Bench("sqlite", cache) as bench:
        unknown, known = get("/unknown", JSON, ""), get("/", JSON, "")
        server = bench.serve_answers("bare", "answering", [known._replace(body=b"{}")])
        assert Wrk(bench.scratch, 1).measure([known], server).answers > 0
        with pytest.raises(BadAnswer, match="bare"):
            Wrk(bench.scratch, 1).measure([known, unknown], server)


def test_the_service_is_compared_with_that_of_another_checkout_run_by_its_own_code(cache: Path, tmp_path: Path) -> None:
    for name in ("notifhist", "schemas"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True)
    trace = tmp_path / "imported"
    with (tmp_path / "notifhist" / "__init__.py").open("a") as code:
        code.write(f"open({str(trace)!r}, 'a').close()\n")
    plan = run.Plan(rounds=2, seconds=1, only="W1", beside=tmp_path, items=100, runs=100)
    cpu, rates = run.run(plan, cache)["tables"]
    assert trace.exists()
    for table in (cpu, rates):
        assert table["heads"][1:4] == ["beside", "service", "service ÷ beside"]
        assert [len(row[3]["rounds"]) for row in table["rows"]] == [2]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Asked, Asked]]:
    """What the service answers, and the idiomatic application over the same data in JSON, by workload."""
    with Bench("sqlite", tmp_path_factory.mktemp("cache")) as bench:
        service, idiomatic = Service(bench.database("service")), Idiomatic(bench.database("idiomatic"))
        stored = store([service, idiomatic], bench.scratch, items=2200, item_bytes=2000, runs=2000)
        key = service.create_key(TENANT)
        ours, plain = bench.serve("service", service, *_OPTIONS), bench.serve("FastAPI", idiomatic)
        yield gets(RUN, stored, ours, key), gets(IN_JSON, stored, plain, "")


@pytest.mark.parametrize("name", IN_JSON)
def test_the_idiomatic_application_answers_as_the_service_does(asked: tuple[Asked, Asked], name: str) -> None:
    expected, found = (each[name] for each in asked)
    assert expected
    for ours, theirs in zip(expected, found, strict=True):
        assert ours.asked == theirs.asked
        assert json.loads(theirs.body or b"") == json.loads(ours.body or b"")


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
    assert table["heads"] == [kind, "200 items", "400 items", "bare", "400 items ÷ 200 items", "bare ÷ 200 items"]
    assert [row[0].split()[0] for row in table["rows"]] == list(scale.TITLES)
    for _, *cells in table["rows"]:
        assert all(len(each["rounds"]) == 2 and min(each["rounds"]) > 0 for each in cells)


def test_pages_are_measured_beside_their_json(cache: Path) -> None:
    plan = pages.Plan(deliveries=400, alarms=20, rounds=2)
    (table,) = json.loads(json.dumps(pages.pages(plan, cache)))["tables"]
    assert [row[-1] in ("met", "NOT met") for row in table["rows"]] == [False, False, True, True, False]
    assert all(each["median"] > 0 for _, each, *_ in table["rows"])
