from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.__main__ import cli
from bench.load_generator import Request, Server
from bench.report import cell, compared, figure, markdown, quotients, results
from bench.run import Plan, run, tables
from bench.scale import Plan as ScalePlan
from bench.servers import Measured, in_turns, numbers
from bench.wrk import Load

ABOUT = {"date": "2026-11-22", "cpus": 2, "python": "3.11.7", "libraries": {"flask": "3.1.3"}, "remark": ""}


def loads(*answers: int, cpu_us: float = 1000) -> list[Load]:
    """Windows of half a second each, in which each answer took `cpu_us` of the server's CPU."""
    return [Load(each, 0.5, 4.0, 9.0, cpu_us * each / 1e6, 0.125) for each in answers]


def of_all(bare: list[Load], view: list[Load], service: list[Load]) -> dict[str, list[Load]]:
    return {"bare": bare, "Flask view": view, "service": service}


MEASURED: Measured[Load] = {
    "W4": of_all(loads(100, 100, 100), loads(9, 9, 9), loads(30, 45, 48, cpu_us=1700)),
    "W3": of_all(loads(200, 200, 200), loads(9, 9, 9), loads(60, 50, 60, cpu_us=1510)) | {"FastAPI": loads(1)},
    "W8": of_all(loads(200, 200, 200), loads(9, 9, 9), loads(8, 8, 8)),
}
BESIDE: Measured[Load] = {"W1": {"beside": loads(100, 50), "service": loads(50, 75)}}


def test_a_cell_has_the_median_and_the_quartiles() -> None:
    found = cell([5, 1, 4, 2, 3], "ms")
    assert found == {"median": 3, "q1": 2, "q3": 4, "unit": "ms", "rounds": [5, 1, 4, 2, 3]}


def test_the_cell_of_one_round_is_that_round() -> None:
    assert cell([7.0]) == {"median": 7.0, "q1": 7.0, "q3": 7.0, "unit": "", "rounds": [7.0]}


def test_quotients_are_taken_round_by_round() -> None:
    assert quotients([6, 8, 9], [3, 4, 3]) == [2, 2, 3]


def test_servers_are_compared_round_by_round() -> None:
    # By the totals it would be 90 / 330; the median of the rounds is what the middle one says.
    rates = {"W1": {"ceiling": [100.0, 200.0, 130.0], "service": [10.0, 40.0, 40.0]}}
    found = compared("requests/s", {"W1": "item"}, rates, [("service", "ceiling")])
    assert found["heads"] == ["requests/s", "ceiling", "service", "service ÷ ceiling"]
    (row,) = found["rows"]
    assert row[0] == "item"
    assert row[3]["rounds"] == [0.1, 0.2, pytest.approx(40 / 130)]
    assert row[3]["median"] == 0.2


@pytest.mark.parametrize(
    ("wanted", "verdict"), [("≥ 0.25", "met"), ("≥ 0.26", "NOT met"), ("≤ 0.25", "met"), ("≤ 0.2", "NOT met")]
)
def test_a_limit_that_is_just_reached_is_met(wanted: str, verdict: str) -> None:
    assert figure("W1", [0.1, 0.25, 0.9], "", wanted)[2:] == [wanted, verdict]


def test_a_figure_of_which_nothing_is_wanted_has_no_verdict() -> None:
    assert figure("export", [0.25], "MB")[2:] == ["", ""]


def test_numbers_are_of_each_window() -> None:
    assert numbers(BESIDE, lambda load: load.answers) == {"W1": {"beside": [100, 50], "service": [50, 75]}}


def test_a_run_is_tables_of_cpu_time_of_rates_and_of_what_is_wanted() -> None:
    cpu, rates, wanted = markdown(ABOUT | {"tables": tables(MEASURED)}).split("\n\n")[:3]
    assert cpu.splitlines() == [
        "| CPU of a request, µs | bare | Flask view | service | FastAPI | service ÷ Flask view | wanted |  |",
        "| --- |" + " --: |" * 7,
        "| W4 100 items, XML | 1,000 (1,000–1,000) | 1,000 (1,000–1,000) | 1,700 (1,700–1,700) | – "
        "| 1.70 (1.70–1.70) | ≤ 1.7 | met |",
        "| W3 100 items, JSON | 1,000 (1,000–1,000) | 1,000 (1,000–1,000) | 1,510 (1,510–1,510) | 1,000 "
        "| 1.51 (1.51–1.51) | ≤ 1.5 | NOT met |",
        "| W8 runs by a word | 1,000 (1,000–1,000) | 1,000 (1,000–1,000) | 1,000 (1,000–1,000) | – "
        "| 1.00 (1.00–1.00) |  |  |",
    ]
    assert rates.splitlines()[0] == (
        "| requests/s | bare | Flask view | service | FastAPI | service ÷ bare | wanted |  "
        "| service, p50 | service, p99 |"
    )
    assert rates.splitlines()[2].endswith(
        "| 90.00 (75.00–93.00) | – | 0.45 (0.38–0.46) | ≥ 0.45 | met | 4.00 (4.00–4.00) ms | 9.00 (9.00–9.00) ms |"
    )
    assert "| 120 (110–120) | 2.00 | 0.30 (0.28–0.30) | ≥ 0.5 | NOT met |" in rates.splitlines()[3]
    assert wanted.splitlines()[2:] == ["| W4/W3, seconds of a request | 1.25 (1.18–1.62) | ≤ 1.4 | met |"]


def test_beside_another_checkout_there_are_ratios_to_it_and_no_limits() -> None:
    lines = markdown(ABOUT | {"tables": tables(BESIDE)}).splitlines()
    assert lines[0] == "| CPU of a request, µs | beside | service | service ÷ beside |"
    assert "| requests/s | beside | service | service ÷ beside | service, p50 | service, p99 |" in lines
    assert any(
        line.startswith("| W1 item, JSON | 150 (125–175) | 125 (112–138) | 1.00 (0.75–1.25) |") for line in lines
    )
    assert not any(sign in line for line in lines for sign in "≤≥")


def test_each_round_goes_through_the_workloads_and_each_time_begins_at_another_server() -> None:
    bare, service = (Server(name, 0, 0) for name in ("bare", "service"))
    first, second = Request(b"1"), Request(b"2")
    seen: list[tuple[Request, str]] = []

    def measure(requests: Sequence[Request], server: Server) -> int:
        seen.append((requests[0], server.name))
        return len(seen)

    found = in_turns({bare: {"W1": [first]}, service: {"W1": [first], "W2": [second]}}, 2, measure)
    assert found == {"W1": {"bare": [1, 5], "service": [2, 4]}, "W2": {"service": [3, 6]}}
    assert seen[:3] == [(first, "bare"), (first, "service"), (second, "service")]


def test_results_say_on_what_they_were_measured() -> None:
    found = results([], "Medians of 3 rounds.")
    text = markdown(found)
    for part in ("Medians of 3 rounds.", f"{found['cpus']} CPUs", "Python 3.", "flask 3.", "sqlite 3."):
        assert part in text


def test_every_field_of_a_plan_is_an_option() -> None:
    shown = CliRunner().invoke(cli, ["run", "--help"]).output
    for name in ("--rounds", "--seconds", "--threads", "--only", "--database", "--beside", "--item-bytes", "--output"):
        assert name in shown


def test_a_checkout_that_is_not_there_is_refused() -> None:
    refused = CliRunner().invoke(cli, ["run", "--beside", "/nowhere"])
    assert refused.exit_code == 2
    assert "/nowhere" in refused.output


def test_an_unknown_workload_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="W9"):
        run(Plan(only="W3,W9"), tmp_path)


def test_sizes_go_up_by_tens_to_the_largest() -> None:
    assert ScalePlan(largest=1_000_000).sizes() == [10_000, 100_000, 1_000_000]
    assert ScalePlan(largest=250_000).sizes() == [10_000, 100_000, 250_000]
    assert ScalePlan(largest=500, smallest=500).sizes() == [500]


def test_without_wrk_it_tells_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="apt-get install wrk"):
        run(Plan(), tmp_path)
