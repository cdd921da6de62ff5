from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.__main__ import cli
from bench.load_generator import Window
from bench.report import cell, compared, figure, markdown, quotients, results
from bench.run import Plan, run, tables
from bench.scale import Plan as ScalePlan
from bench.servers import Measured, numbers

ABOUT = {"date": "2026-11-22", "cpus": 2, "python": "3.11.7", "libraries": {"flask": "3.1.3"}, "remark": ""}


def windows(*answers: int) -> list[Window]:
    """Windows of a second each, in which each answer took 10 ms, and 2 ms of a CPU."""
    return [Window([0.01] * each, 1.0, 0.125, 0.002 * each) for each in answers]


MEASURED: Measured = {
    "W3": {"ceiling": windows(200, 200, 200), "service": windows(40, 50, 60), "idiomatic": windows(1, 2, 3)},
    "W4": {"ceiling": windows(100, 100, 100), "service": windows(30, 25, 40), "idiomatic": windows(1, 1, 1)},
}
BESIDE: Measured = {"W1": {"beside": windows(100, 50), "service": windows(50, 75)}}


def test_a_cell_has_the_median_and_the_quartiles() -> None:
    found = cell([5, 1, 4, 2, 3], "ms")
    assert found == {"median": 3, "q1": 2, "q3": 4, "unit": "ms", "rounds": [5, 1, 4, 2, 3]}


def test_the_cell_of_one_round_is_that_round() -> None:
    assert cell([7.0]) == {"median": 7.0, "q1": 7.0, "q3": 7.0, "unit": "", "rounds": [7.0]}


def test_quotients_are_taken_round_by_round() -> None:
    assert quotients([6, 8, 9], [3, 4, 3]) == [2, 2, 3]


def test_servers_are_compared_with_the_first_round_by_round() -> None:
    # By the totals it would be 90 / 330; the median of the rounds is what the middle one says.
    rates = {"W1": {"ceiling": [100.0, 200.0, 130.0], "service": [10.0, 40.0, 40.0]}}
    found = compared("requests/s", {"W1": "item"}, rates)
    assert found["heads"] == ["requests/s", "ceiling", "service", "service/ceiling"]
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
    assert numbers(BESIDE, lambda window: len(window.latencies)) == {"W1": {"beside": [100, 50], "service": [50, 75]}}


def test_a_run_is_tables_of_rates_of_cpu_time_and_of_what_is_wanted() -> None:
    lines = markdown(ABOUT | {"tables": tables(MEASURED)}).splitlines()
    assert lines[0] == (
        "| requests/s | ceiling | service | idiomatic | service/ceiling | idiomatic/ceiling "
        "| service, p50 | service, p99 |"
    )
    assert lines[1] == "| --- |" + " --: |" * 7
    assert lines[2] == (
        "| W3 100 items, JSON | 200 (200–200) | 50.00 (45.00–55.00) | 2.00 (1.50–2.50) | 0.25 (0.23–0.28) "
        "| 0.0100 (0.0075–0.0125) | 10.00 ms | 10.00 ms |"
    )
    cpu = "2.00 (2.00–2.00) ms"
    assert f"| W3 100 items, JSON | {cpu} | {cpu} | {cpu} | 1.00 (1.00–1.00) | 1.00 (1.00–1.00) |" in lines
    assert "| W3, service/ceiling | 0.25 (0.23–0.28) | ≥ 0.25 | met |" in lines
    assert "| W4, service/ceiling | 0.30 (0.28–0.35) | ≥ 0.24 | met |" in lines
    assert "| W4/W3, seconds of a request | 1.50 (1.42–1.75) | ≤ 1.4 | NOT met |" in lines


def test_beside_another_checkout_there_are_ratios_to_it_and_no_floors() -> None:
    lines = markdown(ABOUT | {"tables": tables(BESIDE)}).splitlines()
    assert lines[0] == "| requests/s | beside | service | service/beside | service, p50 | service, p99 |"
    assert lines[2].startswith("| W1 item, JSON | 75.00 (62.50–87.50) | 62.50 (56.25–68.75) | 1.00 (0.75–1.25) |")
    assert not any("≥" in line for line in lines)


def test_latencies_are_those_of_the_service_in_all_rounds_and_in_ms() -> None:
    rounds = [Window([seconds], 1.0, 0.1, 0.1) for seconds in (0.002, 0.008, 0.004)]
    (row,) = tables({"W1": {"beside": windows(9, 9, 9), "service": rounds}})[0]["rows"]
    p50, p99 = row[-2:]
    assert (p50["median"], p50["unit"]) == (4, "ms")
    assert 7.8 < p99["median"] <= 8


def test_the_load_generators_share_is_of_a_window() -> None:
    assert numbers(BESIDE, lambda window: window.client_cpu / window.seconds)["W1"]["beside"] == [0.125, 0.125]


def test_results_say_on_what_they_were_measured() -> None:
    found = results([], "Medians of 3 rounds.")
    text = markdown(found)
    for part in ("Medians of 3 rounds.", f"{found['cpus']} CPUs", "Python 3.", "flask 3.", "sqlite 3."):
        assert part in text


def test_every_field_of_a_plan_is_an_option() -> None:
    shown = CliRunner().invoke(cli, ["run", "--help"]).output
    for name in ("--rounds", "--seconds", "--only", "--database", "--beside", "--item-bytes", "--output"):
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
