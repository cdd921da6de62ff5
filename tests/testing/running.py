"""A project of somebody else, and pytest run in it."""

import gc
import re
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

PROJECT = Path(__file__).parent / "project"
_NAMES = {"contract.py": "test_contract.py", "settings.py": "conftest.py"}
"""The files that pytest would take for tests of ours, and their names in the project."""
OTHERS = ("-p", "no:cacheprovider", "-p", "no:schemathesis", "-p", "no:hypothesispytest", "-p", "no:anyio")
"""Options for pytest, without plugins of this environment that no test here needs: to import them takes 1 s."""
TESTS = 10
DEPLOYED_SKIPS = {"a_rate_limit_is_waited_for", "faults_are_survived", "keys_have_roles_and_expire"}
"""The tests that a deployed service cannot be used for."""


def copy_project(folder: Path, broken: Mapping[str, str] = MappingProxyType({})) -> None:
    """Copy the project; `broken` replaces lines of its client by others."""
    shutil.copytree(PROJECT, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "README.md"))
    for name, in_project in _NAMES.items():
        (folder / name).rename(folder / in_project)
    client = folder / "client.py"
    text = client.read_text()
    for line, other in broken.items():
        assert text.count(line) == 1, line
        text = text.replace(line, other)
    client.write_text(text)


def outcomes(output: str) -> dict[str, set[str]]:
    """Return the tests of a run with `-rA`, by outcome: of `test_contract.py::test_NAME` the NAME."""
    found: dict[str, set[str]] = {}
    for outcome, name in re.findall(r"(?m)^(PASSED|FAILED|ERROR) \S+::test_(\w+)", output):
        found.setdefault(outcome, set()).add(name)
    return found


def run_here(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    """Run pytest in this process.

    What earlier tests have left to the garbage collector is collected before: else a test of the run is told of it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    return project.runpytest_inprocess(*OTHERS, *options)
