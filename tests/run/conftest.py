"""A spool for each test."""

from pathlib import Path

import pytest

from tests.run.runs import Runs


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """A spool as an administrator makes it, and the wrapper."""
    base = tmp_path / "spool"
    base.mkdir()
    base.chmod(0o1733)
    return Runs(base)
