"""Faults whose form is wrong, or as odd as that of other servers."""

from typing import Any

import pytest

from notifhist.testing import Notifhist
from tests.testing.running import run_here
from tests.testing.test_notifhist import HISTORY, RUNS

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [(7, 7), ("7", 7), (None, 1), ("Wed, 21 Oct 2026 07:28:00 GMT", 1), ("soon", 1), (1.5, 1), ("9" * 5000, 1)],
)
def test_a_429_has_any_header_and_a_number_in_its_body(
    retry_after: float | str | None, seconds: int, notifhist: Notifhist
) -> None:
    notifhist.fail(status=429, times=2, retry_after=retry_after)
    header = str(seconds if retry_after is None else retry_after)
    fault, problem = notifhist.get(HISTORY), notifhist.get(RUNS)
    assert (fault.json["type"], fault.headers["Retry-After"]) == ("rateLimitReached", header)
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert (problem.json["retryAfter"], problem.headers["Retry-After"]) == (seconds, header)


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 100},
        {"status": 999},
        {"times": 0},
        {"delay": -1.0},
        {"retry_after": -1},
        {"retry_after": float("nan")},
        {"retry_after": "1\r\nX-Other: 2"},
    ],
)
def test_a_fault_that_can_be_no_answer_is_refused(wrong: dict[str, Any], notifhist: Notifhist) -> None:
    with pytest.raises(ValueError, match=r"status|Give|retry_after"):
        notifhist.fail(**wrong)


UNMET = """
    from urllib.request import urlopen

    def test_it_is_met(notifhist):
        notifhist.fail(status=200, times=5)
        urlopen(f"{notifhist.url}/healthz").close()

    def test_it_is_not_asked_so_often(notifhist):
        notifhist.fail(after=1)
        notifhist.fail(status=404)
        urlopen(f"{notifhist.url}/healthz").close()

    def test_it_fails_before(notifhist):
        notifhist.fail(status=500)
        assert notifhist.url == ""
"""


def test_a_fault_that_no_request_has_met_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(UNMET)
    result = run_here(pytester, "-W", "always::notifhist.testing.UnmetFaultWarning")
    result.assert_outcomes(passed=2, failed=1)
    told = "no request has met this fail(), with status"
    result.stdout.fnmatch_lines(["*notifhist was asked*", f"*.py:13: {told} 500"])
    warned = [line for line in result.outlines if "UnmetFaultWarning" in line]
    assert [line.rpartition(".py:")[2] for line in warned] == [
        f"8: UnmetFaultWarning: {told} 503",
        f"9: UnmetFaultWarning: {told} 404",
    ]


@pytest.mark.parametrize(("action", "errors"), [("error", 1), ("ignore", 0)])
def test_the_warning_has_a_category_of_its_own(action: str, errors: int, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(UNMET)
    result = run_here(pytester, "-W", f"{action}::notifhist.testing.UnmetFaultWarning", "-k", "not before")
    result.assert_outcomes(passed=2, errors=errors, deselected=1)
