"""docs/testing.md is followed literally: its files are written into a folder, and run there."""

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from notifhist.testing import Notifhist
from tests.system.service import PATIENCE_S, ROOT
from tests.testing.running import OTHERS

pytest_plugins = ["pytester"]

TEXT = (ROOT / "docs/testing.md").read_text()
FILES = dict(re.findall(r"(?ms)^`([\w./-]+)`:\n\n```\w+\n(.+?\n)```$", TEXT))
MARK = re.compile(r"`([^`\n]+)`")
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
    pytester.runpytest_subprocess(*OTHERS, "test_client.py", "test_limit.py").assert_outcomes(passed=4)


def test_they_are_run_against_a_deployed_service_again_and_again(
    notifhist: Notifhist, folder: Path, pytester: pytest.Pytester
) -> None:
    deployed = ("--notifhist-url", notifhist.url, "--notifhist-key", notifhist.key())
    for _ in range(2):
        pytester.runpytest_subprocess(*OTHERS, *deployed, "test_client.py", "test_limit.py").assert_outcomes(
            passed=1, skipped=3
        )


def test_schemathesis_need_not_be_there(folder: Path, pytester: pytest.Pytester) -> None:
    (folder / "schemathesis.py").write_text("raise ModuleNotFoundError(name='schemathesis')")
    pytester.runpytest_subprocess(*OTHERS, "test_openapi.py").assert_outcomes(skipped=1)


@pytest.mark.long
def test_schemathesis_finds_nothing(folder: Path, pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "test_openapi.py")
    result.assert_outcomes(passed=1)


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_clients_in_other_languages_pass(command: str, folder: Path) -> None:
    done = run_client(command, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_they_say_that_the_service_did_not_start(command: str, folder: Path) -> None:
    shutil.rmtree(folder / "fixtures")
    done = run_client(command, folder)
    assert done.returncode != 0
    assert "notifhist serve ended with" in done.stdout + done.stderr


def run_client(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program, *arguments = command.split()
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on this machine")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFHIST_")}
    inherited["PATH"] = f"{sysconfig.get_path('scripts')}:{inherited['PATH']}"
    return subprocess.run(
        [program, *arguments], cwd=folder, env=inherited, capture_output=True, text=True, timeout=PATIENCE_S
    )


def told(marked: str, where: list[str]) -> bool:
    """Say whether something is marked as code; `marked` is a pattern."""
    return any(re.search(marked, each) for each in where)


def test_every_method_is_told_in_the_table() -> None:
    cells = [marked for line in TEXT.splitlines() if line.startswith("| `") for marked in MARK.findall(line)]
    public = {name for name in {*vars(Notifhist), *Notifhist.__annotations__} if not name.startswith("_")}
    assert public > {"url", "key", "requests"}
    for name in public:
        is_method = callable(getattr(Notifhist, name, None))
        assert told(rf"^{name}\(" if is_method else rf"^(notifhist)?\.?{name}$", cells), name


def test_every_option_and_fixture_is_told() -> None:
    marked = MARK.findall(re.sub(r"(?ms)^```.+?^```$", "", TEXT))
    plugin = (ROOT / "notifhist/testing/plugin.py").read_text()
    options = set(re.findall(r'(?s)\.(?:addoption|addini)\(\s*"([\w-]+)"', plugin))
    fixtures = set(re.findall(r"(?m)^@pytest\.fixture.*\ndef (\w+)", plugin))
    assert options > {"--notifhist-update", "notifhist_now"}
    assert fixtures > {"notifhist", "notifhist_process"}
    for name in options | fixtures:
        assert told(rf"^(.* )?{name}( .*)?$", marked), name


def test_clients_in_two_other_languages_are_run() -> None:
    assert [command.split()[0] for command in COMMANDS] == ["node", "java"]
