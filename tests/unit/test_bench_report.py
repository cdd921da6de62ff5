import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench.cli import cli
from bench.load import Window
from bench.picture import draw
from bench.report import markdown
from bench.scale import Plan
from bench.summary import compared, cost, spread_of

ABOUT = {"date": "2026-11-22T10:00:00+00:00", "cpus": 2, "python": "3.11.7", "libraries": {"flask": "3.1.3"}}


def windows(*answers: int) -> list[Window]:
    return [Window(each, 1.0, [0.01] * each, 0.125, 8) for each in answers]


def run_results() -> dict[str, Any]:
    json_list = compared(
        {
            "service": windows(40, 50, 60),
            "ceiling": windows(200, 200, 200),
            "idiomatic": [*windows(1, 3), None],
        },
        floor=0.25,
    )
    xml_list = compared(
        {
            "service": windows(30, 25, 40),
            "ceiling": windows(100, 100, 100),
            "idiomatic": [*windows(1), None, None],
        },
        floor=0.33,
    )
    return {
        "kind": "run",
        **ABOUT,
        "plan": {"rounds": 3},
        "workloads": {
            "W3": {"title": "100 items, JSON", **json_list},
            "W4": {"title": "100 items, XML", **xml_list},
        },
        "costs": {"W4/W3": cost(xml_list, json_list, 1.4)},
    }


def scale_results() -> dict[str, Any]:
    return {
        "kind": "scale",
        **ABOUT,
        "plan": {"rounds": 2},
        "databases": {
            "sqlite": {
                "sizes": [10_000, 100_000],
                "bare_ms": spread_of([0.5, 0.5]),
                "workloads": {
                    "W1": {
                        "title": "item, JSON",
                        "ms": {"10000": spread_of([2.0, 2.0]), "100000": spread_of([2.0, 3.0])},
                        "ratio": {"10000": spread_of([1.0, 1.0]), "100000": spread_of([1.0, 1.5])},
                    }
                },
            }
        },
    }


def test_a_run_is_a_table_with_floors_and_verdicts() -> None:
    lines = markdown(run_results()).splitlines()
    assert lines[0] == (
        "| requests/s | ceiling | service | service/ceiling | floor |  | idiomatic/ceiling | p50 ms | p99 ms |"
    )
    assert lines[1] == "| --- |" + " --: |" * 8
    assert lines[2] == (
        "| W3 100 items, JSON | 200 | 50 | 0.25 (0.23–0.28) | 0.25 | met | 0.0100 (0.0075–0.0125) | 10.0 | 10.0 |"
    )
    assert lines[3].startswith("| W4 100 items, XML | 100 | 30 | 0.30 (0.28–0.35) | 0.33 | NOT met | 0.0100 ")
    assert "| W4/W3 | 1.50 (1.42–1.75) | 1.4 | NOT met |" in lines


def test_a_comparison_of_sizes_is_a_table_for_each_database() -> None:
    lines = markdown(scale_results()).splitlines()
    assert lines[0] == "| sqlite | 10,000 items | 100,000 items |"
    assert lines[2] == "| W1 item, JSON | 2.00 ms | 1.25 (1.12–1.38) |"


@pytest.mark.parametrize("results", [run_results(), scale_results()])
def test_the_table_of_a_file_says_on_what_it_was_measured(results: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text(json.dumps(results))
    printed = CliRunner().invoke(cli, ["table", str(file)])
    assert printed.exit_code == 0
    assert printed.output == markdown(results) + "\n"
    for text in (
        "2026-11-22",
        "2 CPUs",
        "Python 3.11.7",
        "flask 3.1.3",
        f"{results['plan']['rounds']} rounds",
    ):
        assert text in printed.output


@pytest.mark.parametrize("results", [run_results(), scale_results()])
def test_there_is_a_picture_if_there_is_matplotlib(results: dict[str, Any], tmp_path: Path) -> None:
    installed = find_spec("matplotlib") is not None  # by the extra `bench` only
    picture = tmp_path / "results.svg"
    assert draw(results, picture) == installed
    if installed:
        assert "<svg" in picture.read_text()


def test_an_unknown_workload_is_named() -> None:
    refused = CliRunner().invoke(cli, ["run", "--only", "W3,W9"])
    assert refused.exit_code == 2
    assert "W9" in refused.output


def test_sizes_go_up_by_tens_to_the_largest() -> None:
    assert Plan(largest=1_000_000).sizes() == [10_000, 100_000, 1_000_000]
    assert Plan(largest=250_000).sizes() == [10_000, 100_000, 250_000]
    assert Plan(largest=500, smallest=500).sizes() == [500]
