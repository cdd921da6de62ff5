"""A spool for each test."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run.runs import Runs


@pytest.fixture(autouse=True)
def a_hangup_is_heard() -> Iterator[None]:
    """A test run below `nohup` ignores SIGHUP, and a shell cannot trap what it was started to ignore."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """A spool as an administrator makes it, and the wrapper."""
    base = tmp_path / "spool"
    base.mkdir()
    base.chmod(0o1733)
    return Runs(base)
