"""docs/testing.md is followed literally: its files are written into a folder, and run there."""

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.system.service import PATIENCE_S, ROOT
from tests.testing.running import OTHERS

pytest_plugins = ["pytester"]

TEXT = (ROOT / "docs/testing.md").read_text()
FILES = dict(re.findall(r"(?ms)^`([\w./-]+)`:\n\n```\w+\n(.+?\n)```$", TEXT))
COMMANDS = re.findall(r"(?m)^    ((?:node|java) .+)$", TEXT)


@pytest.fixture
def folder(pytester: pytest.Pytester) -> Path:
    for name, text in FILES.items():
        path = pytester.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return pytester.path


def test_every_block_has_a_name() -> None:
    assert len(FILES) == TEXT.count("```") / 2 > 5


def test_the_tests_in_python_pass(folder: Path, pytester: pytest.Pytester) -> None:
    pytester.runpytest_subprocess(*OTHERS, "test_client.py", "test_limit.py").assert_outcomes(passed=3)


@pytest.mark.long
def test_schemathesis_finds_nothing(folder: Path, pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "test_openapi.py")
    result.assert_outcomes(passed=1)


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_clients_in_other_languages_pass(command: str, folder: Path) -> None:
    program, *arguments = command.split()
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on this machine")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFHIST_")}
    inherited["PATH"] = f"{sysconfig.get_path('scripts')}:{inherited['PATH']}"
    done = subprocess.run(
        [program, *arguments], cwd=folder, env=inherited, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_method_and_option_is_told() -> None:
    from notifhist.testing import Notifhist

    for name in vars(Notifhist):
        assert name.startswith("_") or name in ("url", "tenant") or f"{name}" in TEXT, name
    plugin = (ROOT / "notifhist/testing/plugin.py").read_text()
    for name in re.findall(r'"(--notifhist-\w+|notifhist_\w+)"', plugin):
        assert name in TEXT or name in ("notifhist_url", "notifhist_key", "notifhist_tenant", "notifhist_update"), name
