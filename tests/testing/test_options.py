"""What the plugin says to a new user: of deployed services, of mistakes in usage, and where a client fails."""

import re
from collections.abc import Iterator

import pytest

from notifhist.testing import Process
from notifhist.testing.process import serving
from tests.testing.running import OTHERS

pytest_plugins = ["pytester"]


def run(pytester: pytest.Pytester, *options: str) -> str:
    """Return what pytest prints, on both streams."""
    result = pytester.runpytest_subprocess(*OTHERS, *options)
    return result.stdout.str() + result.stderr.str()


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with serving(tmp_path_factory.mktemp("deployed"), None, "", {}) as process:
        yield process


def test_failures_show_no_key(pytester: pytest.Pytester, deployed: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile("""
        def ask(notifhist, key, process):
            headers = {"X-Auth-Token": key}
            assert notifhist.get("/entities", key=key).status == 0

        def test_it(notifhist, notifhist_process):
            ask(notifhist, notifhist.key(), notifhist_process)

        def test_a_wrong_path(notifhist):
            notifhist.get("/entities", key=notifhist.key(), accept="\\n")
    """)
    monkeypatch.setenv("NOTIFHIST_TEST_KEY", deployed.key)
    (pytester.path / "key").write_text(f"{deployed.key}\n")
    for options in ((), ("--notifhist-key=@key", "--showlocals")):
        shown = run(pytester, "--notifhist-url", deployed.url, *options)
        assert "2 failed" in shown
        assert "key = '***'" in shown
        assert str(deployed.key) not in shown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--notifhist-key=k"], "give --notifhist-url too"),
        (["--notifhist-url=http://127.0.0.1:9"], "NOTIFHIST_TEST_KEY"),
        (["--notifhist-url=http://127.0.0.1:9", "--notifhist-key=@none"], "No such file or directory: 'none'"),
    ],
)
def test_options_that_do_not_fit_are_usage_errors(options: list[str], said: str, pytester: pytest.Pytester) -> None:
    shown = run(pytester, *options)
    assert said in shown
    assert len(shown.splitlines()) < 5


def test_a_failure_shows_what_was_asked(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        from urllib.request import Request, urlopen

        def test_a_client(notifhist):
            for n in range(22):
                urlopen(f"{notifhist.url}/healthz?n={n}").close()
            key = f"{notifhist.key()[:-1]}-"
            urlopen(Request(f"{notifhist.url}/entities?limit=2", headers={"X-Auth-Token": key, "Accept": "*/*"}))

        def test_in_xml(notifhist):
            notifhist.fail(status=503)
            urlopen(Request(f"{notifhist.url}/entities/{notifhist.key()}", headers={"Accept": "application/xml"}))

        def test_nothing_was_asked(notifhist):
            assert notifhist.get("/entities").status == 0

        def test_without_the_service():
            raise AssertionError
    """)
    shown = run(pytester, "--tb=line", "-p", "no:unraisableexception")
    assert shown.count("- notifhist was asked -") == 2
    assert "/healthz?n=3 -> 200\n" in shown
    assert "n=2 " not in shown
    assert "GET /entities?limit=2 -> 401 No valid key: " in shown
    assert re.search(r"GET /entities/nh_\w+_\*\*\* -> 503 \w", shown)
