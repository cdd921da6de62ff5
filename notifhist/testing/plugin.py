"""pytest's plugin: the fixtures, the marker and the options (docs/testing.md).

Every run of pytest in an environment with the service loads this module. So it imports nothing of the service, which
takes a third of a second, until a fixture is used.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from notifhist.testing import UnmetFaultWarning
from notifhist.testing.files import Files

if TYPE_CHECKING:
    from notifhist.testing.deployed import DeployedServer
    from notifhist.testing.keys import Key
    from notifhist.testing.local import LocalServer
    from notifhist.testing.notifhist import Notifhist
    from notifhist.testing.process import Process

_KEY: pytest.StashKey[Key] = pytest.StashKey()
"""The key of the deployed service."""
_FOUND: pytest.StashKey[Notifhist] = pytest.StashKey()
"""What a test got as `notifhist`."""
_PASSED: pytest.StashKey[bool] = pytest.StashKey()
"""Whether a test passed, known before its fixtures are torn down."""
_SHOWN = 20
"""So many requests are shown where a test fails."""
_MARKER = "notifhist(now=None, load=(), settings={}): the time, the records and the settings that a test begins with"
_NO_NOW = "(-o notifhist_now= takes the clock of the ini file away.)"


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the options, before any conftest.py is imported."""
    # pytest would compile all modules of a package that has a plugin anew, for better messages of their asserts: that
    # takes 3 s where its cache cannot be written, and the service asserts nothing for users to see.
    hook = getattr(pluginmanager, "rewrite_hook", None)
    getattr(hook, "_must_rewrite", set()).discard("notifhist")
    group = parser.getgroup("notifhist", "contract tests against notifhist")
    group.addoption("--notifhist-url", metavar="URL", default="", help="test against a deployed service")
    group.addoption("--notifhist-key", metavar="KEY", default="", help="its key, @FILE, or $NOTIFHIST_TEST_KEY")
    group.addoption("--notifhist-tenant", metavar="ID", default="123456", help="the tenant of that key [123456]")
    group.addoption(
        "--notifhist-update", action="store_true", help="write files that assert_json and assert_xml expect anew"
    )
    parser.addini("notifhist_fixtures", "folder in which records and expected files are looked for too", default="")
    parser.addini("notifhist_now", "time at which the service's clock stands, unless a test says otherwise", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker. Raises UsageError for options that do not fit together."""
    config.addinivalue_line("markers", _MARKER)
    url, key = config.getoption("notifhist_url"), config.getoption("notifhist_key")
    if not url and key:
        raise pytest.UsageError("--notifhist-key is that of a deployed service: give --notifhist-url too.")
    if url:
        from notifhist.testing.keys import VARIABLE, given_key
        from notifhist.testing.reached import url_problem

        try:
            config.stash[_KEY] = given_key(key)
        except (OSError, UnicodeError) as error:
            raise pytest.UsageError(f"--notifhist-key: {error}") from None
        if problem := url_problem(url):
            raise pytest.UsageError(problem)
        if not config.stash[_KEY]:
            raise pytest.UsageError(f"Give --notifhist-key, or {VARIABLE} in the environment, with --notifhist-url.")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Look at the deployed service once. Raises UsageError if it cannot be tested."""
    config = session.config
    url = config.getoption("notifhist_url")
    if (
        not url or hasattr(config, "workerinput") or config.getoption("collectonly")
    ):  # the controller of xdist has looked
        return
    from notifhist.testing.reached import service_problem

    if problem := service_problem(url, config.stash[_KEY], config.getoption("notifhist_tenant")):
        raise pytest.UsageError(problem)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say which service is tested, if it is a deployed one."""
    url = config.getoption("notifhist_url")
    return f"notifhist: {url} (deployed: nothing is emptied there)" if url else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show beside a failure what the client under test asked; of a deployed service, blot the key out of the report."""
    report = yield
    found, key = item.stash.get(_FOUND, None), item.config.stash.get(_KEY, None)
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    if key:
        _blot(report, key)
    elif report.failed and found is not None:
        unmet = [f"{Path(fault.file).name}:{fault.line}: {fault}" for fault in found._unmet_faults]
        if lines := [*map(str, found.requests[-_SHOWN:]), *unmet]:
            report.sections.append(("notifhist was asked", "\n".join(lines)))
    return report


def _warn_of_unmet(item: pytest.Item, found: Notifhist) -> None:
    """Warn where a test asked for a fault that its client has not met: it passes whatever the client does then.

    A failed test says so in its report instead: it may have ended before.
    """
    if item.stash.get(_PASSED, False):
        for fault in found._unmet_faults:
            warnings.warn_explicit(str(fault), UnmetFaultWarning, fault.file, fault.line)


def _blot(report: pytest.TestReport, key: str) -> None:
    """Blot a key out of what tests print and of texts that it is part of, such as `Bearer KEY`."""
    report.sections = [(name, text.replace(key, "***")) for name, text in report.sections]
    if report.failed and key in (shown := str(report.longrepr)):
        report.longrepr = shown.replace(key, "***")


class _Wanted(NamedTuple):
    """What the markers of a test say; those near it win, and settings are merged. `now` may be that of the ini file."""

    now: Any
    load: tuple[str | Path, ...]
    settings: Mapping[str, object]


def _mistake(said: object) -> BaseException:
    """Return what fails a test by a line alone: the reader's mistake is not in the plugin's code."""
    return pytest.fail.Exception(f"notifhist: {said}", pytrace=False)


def _wanted(node: pytest.Item) -> _Wanted:
    """Return what the markers say. Fails the test for what the marker does not know."""
    now: Any = node.config.getini("notifhist_now") or None
    load: Any = ()
    settings: dict[str, object] = {}
    for mark in reversed(list(node.iter_markers("notifhist"))):
        if mark.args or mark.kwargs.keys() - set(_Wanted._fields):
            given = ", ".join([*map(repr, mark.args), *(f"{name}={value!r}" for name, value in mark.kwargs.items())])
            raise _mistake(f"the marker is {_MARKER.partition(':')[0]}, not notifhist({given})")
        now = mark.kwargs.get("now", now)
        load = mark.kwargs.get("load", load)
        settings = {**settings, **mark.kwargs.get("settings", {})}
    return _Wanted(now, (load,) if isinstance(load, str | Path) else tuple(load), settings)


def _base(config: pytest.Config) -> Path:
    """Return the folder that the ini options start from."""
    return config.inipath.parent if config.inipath is not None else config.rootpath


def imported_service() -> Any:
    """Import `notifhist.testing.local`, and all of the service with it."""
    from notifhist.imports import without_garbage

    with without_garbage():
        return import_module("notifhist.testing.local")


def _files(request: pytest.FixtureRequest) -> Files:
    config = request.config
    fixtures = config.getini("notifhist_fixtures")
    folders = [_base(config) / fixtures] if fixtures else []
    return Files((request.path.parent, *folders, config.rootpath), config.getoption("notifhist_update"))


@pytest.fixture(scope="session")
def notifhist_settings() -> dict[str, object]:
    """The settings of the service, without NOTIFHIST_, for a conftest.py to override, which gives those that differ.

    They are: no rate limits, and retention 0 (nothing expires); else the service's own defaults.
    """
    from notifhist.transfer.scratch import SETTINGS

    return {**SETTINGS}


@pytest.fixture(scope="session")
def notifhist_server(
    request: pytest.FixtureRequest, notifhist_settings: Mapping[str, object]
) -> Iterator[LocalServer | DeployedServer]:
    """One server for the session, with `url` and `port`: in a thread of this process, or the deployed one."""
    if url := request.config.getoption("notifhist_url"):
        from notifhist.testing.deployed import DeployedServer

        yield DeployedServer(url)
        return
    local = imported_service()
    from notifhist.config import ConfigError

    try:
        with local.local_server(notifhist_settings) as server:
            yield server
    except ConfigError as error:
        raise _mistake(error) from None


@pytest.fixture
def notifhist(request: pytest.FixtureRequest, notifhist_server: Any) -> Iterator[Notifhist]:
    """The server, emptied for this test, and what prepares it and looks at it."""
    wanted, config = _wanted(request.node), request.config
    if url := config.getoption("notifhist_url"):
        from notifhist.testing.deployed import DeployedNotifhist

        if wanted.now is not None or wanted.settings:
            pytest.skip(f"{url} is a deployed service: its clock and settings cannot be set. {_NO_NOW}")
        key, tenant = config.stash[_KEY], config.getoption("notifhist_tenant")
        found: Notifhist = DeployedNotifhist(notifhist_server.url, key, tenant, _files(request))
    else:
        found = _reset(request, notifhist_server, wanted)
    request.node.stash[_FOUND] = found
    if wanted.load:
        try:
            found.load(*wanted.load)
        except OSError as error:
            raise _mistake(error) from None
    yield found
    _warn_of_unmet(request.node, found)


def _reset(request: pytest.FixtureRequest, server: LocalServer, wanted: _Wanted) -> Notifhist:
    from notifhist.config import ConfigError
    from notifhist.testing.instants import ms_of

    try:
        now_ms = None if wanted.now is None else ms_of(wanted.now)
    except ValueError as error:
        raise _mistake(f"now={wanted.now!r}: {error}") from None
    try:
        return server.reset(wanted.settings, now_ms, _files(request))
    except ConfigError as error:
        raise _mistake(error) from None


@pytest.fixture
def notifhist_url(notifhist: Notifhist) -> str:
    """The URL of the server, emptied for this test."""
    return notifhist.url


@pytest.fixture(scope="session")
def notifhist_process(
    request: pytest.FixtureRequest, notifhist_settings: Mapping[str, object], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    """`notifhist serve` as a process, with `url`, `port`, `key` and `pid`; the records are those of notifhist_fixtures.

    Its clock stands at notifhist_now. With `--notifhist-url` it is the deployed service, whose clock cannot.
    """
    from notifhist.testing.process import Process, serving

    config = request.config
    if url := config.getoption("notifhist_url"):
        from notifhist.testing.deployed import DeployedServer

        if config.getini("notifhist_now"):
            pytest.skip(f"{url} is a deployed service: its clock cannot be set. {_NO_NOW}")
        server = DeployedServer(url)
        yield Process(server.url, server.port, config.stash[_KEY], None)
        return
    fixtures = config.getini("notifhist_fixtures")
    load = _base(config) / fixtures if fixtures else None
    with serving(
        tmp_path_factory.mktemp("notifhist"), load, config.getini("notifhist_now"), notifhist_settings
    ) as found:
        yield found
