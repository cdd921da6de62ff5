"""What the plugin says to a new user: of deployed services, of mistakes in usage, and where a client fails."""

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
