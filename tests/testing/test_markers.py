"""The time that a test begins with: of its marker, else of the ini file. And whose log it gets."""

import pytest

import notifhist.testing.deployed  # noqa: F401 - what a run in this process imports, it forgets afterwards
from notifhist.testing import Notifhist
from tests.testing.running import run_here

pytest_plugins = ["pytester"]

TESTS = """
    import logging
    import pytest

    @pytest.mark.notifhist(now=0)
    def test_the_epoch(notifhist):
        assert notifhist.now_ms == 0

    def test_the_ini_file(notifhist):
        assert notifhist.now_ms == 5

    def test_the_log_of_a_named_logger(notifhist, caplog):
        caplog.set_level("DEBUG", logger="mine")
        notifhist.item()
        notifhist.get("/entities")
        logging.getLogger("mine").debug("its own")
        assert caplog.messages == ["its own"]

    @pytest.mark.notifhist(now="noon")
    def test_no_text(notifhist):
        pass

    @pytest.mark.notifhist(now=10**20)
    def test_no_number(notifhist):
        pass

    @pytest.mark.notifhist(now=1.5)
    def test_no_time(notifhist):
        pass
"""


@pytest.fixture
def tests(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(TESTS)
    pytester.makeini("[pytest]\nnotifhist_now = 5")
    return pytester


def test_a_time_is_the_epoch_that_of_the_ini_file_or_told_to_be_none(tests: pytest.Pytester) -> None:
    result = run_here(tests)
    result.assert_outcomes(passed=3, errors=3)
    result.stdout.fnmatch_lines(["notifhist: now='noon': Not an ISO date and time*", "notifhist: now=1.5: Not an ISO*"])
    result.stdout.fnmatch_lines(["notifhist: now=100000000000000000000: Not within the years*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*instants.py*")


def test_no_test_passes_by_another_clock_than_that_of_the_ini_file(
    notifhist: Notifhist, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile("""
        def test_it(notifhist): pass
        def test_its_process(notifhist_process): pass
    """)
    pytester.makeini("[pytest]\nnotifhist_now = 5")
    deployed = ("-rs", "--notifhist-url", notifhist.url, "--notifhist-key", notifhist.key())
    result = run_here(pytester, *deployed)
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*is a deployed service: its clock cannot be set. (-o notifhist_now= *"])
    run_here(pytester, *deployed, "-o", "notifhist_now=").assert_outcomes(passed=2)
