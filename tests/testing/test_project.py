"""The contract tests of another project, as they are run there: in processes, in a folder with names of ours."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from notifhist.testing.process import Process, serving
from tests.testing.running import DEPLOYED_SKIPS, OTHERS, TESTS, copy_project, outcomes

pytest_plugins = ["pytester"]

_PAGES = """            yield from page["values"]
            url = page["metadata"]["next_href"]
"""
_FIRST_OFFSET = """
        first, offset, url = url, 0, f"{url}&limit=2"
"""
_BY_OFFSET = """            yield from page["values"][offset:]
            offset += len(page["values"][offset:])
            url = page["metadata"]["next_href"] and f"{first}&limit={offset + 2}"
"""
BROKEN: dict[str, tuple[Mapping[str, str], set[str]]] = {
    "ignores next_href": (
        {'url = page["metadata"]["next_href"]': "url = None"},
        {"all_pages_are_read", "a_page_that_changes_repeats_nothing", "a_rate_limit_is_waited_for"},
    ),
    "drops XML attributes": ({'"id": item.get("id")': '"id": None'}, {"xml_has_the_ids"}),
    "does not wait on 429": (
        {'time.sleep(float(error.headers["Retry-After"]))': "pass"},
        {"a_rate_limit_is_waited_for"},
    ),
    "pages by offset": (
        {'?from=0&limit=2&reverse=true"': f'?from=0&reverse=true"{_FIRST_OFFSET}', _PAGES: _BY_OFFSET},
        {"a_page_that_changes_repeats_nothing"},
    ),
    "loses integers beyond 2**53": (
        {"page = json.loads(self.ask(url))": "page = json.loads(self.ask(url), parse_int=float)"},
        {"large_numbers_keep_their_digits"},
    ),
}
"""What is wrong with a client, as lines of it and those in their place, and the tests that must find it."""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    copy_project(pytester.path)
    return pytester


def run(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    return project.runpytest_subprocess(*OTHERS, *options)


def test_its_tests_pass(project: pytest.Pytester) -> None:
    run(project).assert_outcomes(passed=TESTS)


@pytest.mark.long
def test_each_worker_of_xdist_has_a_server(project: pytest.Pytester) -> None:
    run(project, "-n", "2").assert_outcomes(passed=TESTS)


@pytest.mark.long
@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_client_is_found(fault: str, pytester: pytest.Pytester) -> None:
    lines, finders = BROKEN[fault]
    copy_project(pytester.path, lines)
    found = outcomes(run(pytester, "-rA").stdout.str())
    assert found["FAILED"] == finders
    assert len(found["PASSED"]) == TESTS - len(finders)


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[Process]:
    with serving(tmp_path, None, "", {}) as process:
        yield process


@pytest.mark.long
def test_a_deployed_service_is_tested_again_and_again(project: pytest.Pytester, deployed: Process) -> None:
    for _ in range(2):
        result = run(project, "-rs", "--notifhist-url", f"{deployed.url}/", "--notifhist-key", deployed.key)
        # The process fixture is the deployed service, into which another test has loaded the fixtures before.
        result.assert_outcomes(passed=TESTS - len(DEPLOYED_SKIPS), skipped=len(DEPLOYED_SKIPS))
        result.stdout.fnmatch_lines(["notifhist: http* (deployed: nothing is emptied there)"])
        reasons = [line for line in result.outlines if line.startswith("SKIPPED")]
        assert len(reasons) == len(DEPLOYED_SKIPS)
        assert all("is a deployed service: " in reason for reason in reasons)


def test_the_plugin_imports_nothing_of_the_service(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import sys

        def test_it():
            roots = ("notifhist", "app", "schemas", "fixtures")
            ours = {name for name in sys.modules if name.partition(".")[0] in roots}
            assert ours == {"notifhist", "notifhist.testing", "notifhist.testing.plugin", "notifhist.testing.files"}
            assert not {"flask", "peewee", "lxml", "gunicorn", "marshmallow"} & sys.modules.keys()
    """)
    run(pytester).assert_outcomes(passed=1)


def test_pytest_does_not_compile_the_service_anew(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_loader="""
        def test_it(notifhist):
            import notifhist.factory
            assert "pytest" not in type(notifhist.factory.__spec__.loader).__module__
    """
    )
    run(project, "test_loader.py").assert_outcomes(passed=1)
