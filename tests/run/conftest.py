"""A spool for each test."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run.runs import Runs


@pytest.fixture(autouse=True)
def signals_are_heard() -> Iterator[None]:
    """A test run in the background, or below `nohup`, ignores signals, and a shell cannot trap what it so inherits."""
    ignored = [
        each for each in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT) if signal.getsignal(each) == signal.SIG_IGN
    ]
    for each in ignored:
        signal.signal(each, signal.SIG_DFL)
    yield
    for each in ignored:
        signal.signal(each, signal.SIG_IGN)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """A spool as an administrator makes it, and the wrapper."""
    base = tmp_path / "spool"
    base.mkdir()
    base.chmod(0o1733)
    return Runs(base)
