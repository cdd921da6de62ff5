"""What the plugin says to a new user: of deployed services, of mistakes in usage, and where a client fails."""

import re

import pytest

from notifhist.testing import Notifhist
from tests.system.service import free_port
from tests.testing.running import run_here

pytest_plugins = ["pytester"]


def run(pytester: pytest.Pytester, *options: str) -> str:
    """Return what pytest prints, on both streams."""
    result = run_here(pytester, *options)
    return result.stdout.str() + result.stderr.str()


def test_failures_show_no_key(pytester: pytest.Pytester, notifhist: Notifhist, monkeypatch: pytest.MonkeyPatch) -> None:
    key = notifhist.key()
    pytester.makepyfile("""
        def ask(notifhist, key, process):
            headers = {"X-Auth-Token": key}
            assert notifhist.get("/entities", key=key).status == 0

        def test_it(notifhist, notifhist_process):
            ask(notifhist, notifhist.key(), notifhist_process)

        def test_a_text_with_it(notifhist):
            bearer = f"Bearer {notifhist.key()}"
            print(bearer)
            assert bearer == ""

        def test_a_wrong_path(notifhist):
            notifhist.get("/entities", key=notifhist.key(), accept="\\n")
    """)
    monkeypatch.setenv("NOTIFHIST_TEST_KEY", key)
    (pytester.path / "key").write_text(f"{key}\n")
    for options in ((), ("--notifhist-key=@key", "--showlocals")):
        shown = run(pytester, "--notifhist-url", notifhist.url, *options)
        assert "3 failed" in shown
        assert "key = '***'" in shown
        assert str(key) not in shown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--notifhist-key=k"], "give --notifhist-url too"),
        (["--notifhist-url=http://127.0.0.1:9"], "NOTIFHIST_TEST_KEY"),
        (["--notifhist-url=http://127.0.0.1:9", "--notifhist-key=@none"], "No such file or directory: 'none'"),
        (["--notifhist-url=127.0.0.1:8000", "--notifhist-key=k"], "give a URL such as http://127.0.0.1:8000"),
        (["--notifhist-url=http://a:x", "--notifhist-key=k"], "give a URL such as http://127.0.0.1:8000"),
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


MISTAKES = """
    import pytest

    @pytest.mark.notifhist(nwo=1)
    def test_argument(notifhist): pass

    @pytest.mark.notifhist(load="none")
    def test_load(notifhist): pass

    @pytest.mark.notifhist(settings={"NOTIFHIST_RETENTION_DAY": 5})
    def test_setting(notifhist): pass

    def test_run(notifhist):
        notifhist.run(colour="red")

    def test_missing_records(notifhist):
        notifhist.load("none")

    def test_misplaced_records(notifhist):
        notifhist.load("records")

    def test_role(notifhist):
        notifhist.key("admin")

    def test_time(notifhist):
        notifhist.freeze("yesterday")

    def test_span(notifhist):
        notifhist.tick(hour=1)

    def test_fault(notifhist):
        notifhist.fail(status=1)

    def test_path(notifhist):
        notifhist.get("entities")

    def test_expected(notifhist):
        notifhist.assert_json("/entities", "none.json")
"""
SAID = [
    "notifhist: the marker is notifhist(now=None, load=(), settings={}), not notifhist(nwo=1)",
    "notifhist: no such setting: NOTIFHIST_RETENTION_DAY (there is RETENTION_DAYS); leave NOTIFHIST_ out",
    "records/web01.json: its path is none of records, such as ",
    "There is no role admin; there are ",
    "when='yesterday': Not an ISO date",
    "tick() takes what datetime.timedelta does, such as hours=1: 'hour' is an invalid",
    "The run cannot be recorded. The body does not fit. colour: Unknown field",
    "status: 1 is none of HTTP's.",
    "get('entities'): a path begins with a slash, such as /entities",
    "/none.json; --notifhist-update writes it",
]


def test_mistakes_show_nothing_of_the_plugin(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(MISTAKES)
    (pytester.path / "records").mkdir()
    (pytester.path / "records/web01.json").write_text("{}")
    shown = run(pytester, "--no-header", "-rN")
    for said in SAID:
        assert shown.count(said) == 1, said
    assert shown.count(f"There is no none; looked for {pytester.path}/none\n") == 2
    assert "notifhist/testing/" not in shown
    assert "During handling" not in shown
    assert "3 errors" in shown


def test_a_deployed_service_is_looked_at_before_all_tests(notifhist: Notifhist, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(notifhist): pass")
    key, reader = notifhist.key(), notifhist.key("notification-logs:view")
    port = notifhist.url.rpartition(":")[2]
    for url, given, tenant, said in (
        (notifhist.url, key, "123456", "1 passed"),
        (notifhist.url, reader, "123456", "1 passed"),
        (notifhist.url, key, "654321", "the key is of another tenant than 654321; give --notifhist-tenant"),
        (notifhist.url, "nh_none", "123456", "answers 401 to the key. No valid key"),
        (f"http://127.0.0.1:{free_port()}", key, "123456", "does not answer: "),
        (f"https://127.0.0.1:{port}", key, "123456", "does not answer: "),
    ):
        shown = run(pytester, "--notifhist-url", url, "--notifhist-key", given, "--notifhist-tenant", tenant)
        assert said in shown
        assert len(shown.splitlines()) < 20
