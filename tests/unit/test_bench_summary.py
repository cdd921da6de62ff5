import pytest

from bench.load import Window
from bench.summary import compared, cost, percentile, quotients, spread_of


def window(answers: int, seconds: float = 1.0) -> Window:
    return Window(answers, seconds, [seconds / answers] * answers, client_seconds=0.25, connections=8)


def test_a_spread_has_the_median_and_the_quartiles() -> None:
    assert spread_of([5, 1, 4, 2, 3]) == {"median": 3, "q1": 2, "q3": 4, "rounds": [5, 1, 4, 2, 3]}


def test_the_spread_of_one_round_is_that_round() -> None:
    assert spread_of([7.0]) == {"median": 7.0, "q1": 7.0, "q3": 7.0, "rounds": [7.0]}


@pytest.mark.parametrize(("part", "expected"), [(0.5, 50), (0.99, 99), (1, 100), (0.001, 1)])
def test_a_percentile_is_one_of_the_values(part: float, expected: int) -> None:
    assert percentile(range(100, 0, -1), part) == expected


def test_quotients_are_of_the_rounds_that_both_were_measured_in() -> None:
    assert quotients([6, None, 8, 9], [3, 1, None, 3]) == [2, 3]


def test_a_server_is_compared_with_the_ceiling_round_by_round() -> None:
    # By the totals it would be 90 / 330; the median of the rounds is what the middle one says.
    found = compared(
        {
            "service": [window(10), window(40), window(40)],
            "ceiling": [window(100), window(100, 0.5), window(130)],
            "idiomatic": [window(1), None, window(13)],
        },
        floor=0.21,
    )
    assert found["ratio"]["service"]["rounds"] == [0.1, 0.2, pytest.approx(40 / 130)]
    assert found["ratio"]["idiomatic"]["rounds"] == [0.01, 0.1]
    assert found["idiomatic"]["per_second"] == [1, None, 13]
    assert (found["floor"], found["met"]) == (0.21, False)


def test_a_floor_that_is_just_reached_is_met() -> None:
    servers = {"service": [window(25)], "ceiling": [window(100)]}
    assert compared(servers, floor=0.25)["met"] is True


def test_latencies_are_those_of_all_rounds_and_in_ms() -> None:
    rounds = [window(1, 0.002), window(1, 0.008), window(1, 0.004)]
    found = compared({"service": rounds, "ceiling": rounds}, floor=0)["service"]
    assert (found["p50_ms"], found["p99_ms"], found["answers"]) == (4, 8, 3)


def test_the_load_generators_share_is_of_the_time_it_measured() -> None:
    rounds = [window(10, 1.0), window(10, 4.0)]
    assert compared({"service": rounds, "ceiling": rounds}, 0)["service"]["client_share"] == 0.1


def test_a_cost_is_seconds_per_request_against_seconds_per_request() -> None:
    xml = compared({"service": [window(10), window(20)], "ceiling": [window(1)] * 2}, 0)
    json = compared({"service": [window(15), window(20)], "ceiling": [window(1)] * 2}, 0)
    found = cost(over=xml, under=json, most=1.3)
    assert found["rounds"] == [1.5, 1.0]
    assert (found["median"], found["met"]) == (1.25, True)
    assert cost(over=xml, under=json, most=1.2)["met"] is False
