"""The shells that are here complete the commands of `notifhist`, by what `notifhist completion` prints."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.commands import run
from tests.system.service import PATIENCE_S, environment

ASK = {
    "bash": """
source ./script
complete -p notifhist >/dev/null
COMP_WORDS=({words}) COMP_CWORD={last}
_notifhist_completion notifhist
printf '%s\\n' "${{COMPREPLY[@]}}"
""",
    "zsh": """
autoload -U compinit && compinit -u -D
_describe() {{ local name=${{@[-2]}}; print -rl -- ${{(P)name}} }}
compadd() {{ shift $(( ${{@[(i)-a]}} )); print -rl -- ${{(P)1}} }}
source ./script
words=({words}) CURRENT={last}+1
_notifhist_completion
""",
    "fish": """
source ./script
complete --do-complete {line}
""",
}
"""How each shell is asked what it would complete, without a keyboard."""


@pytest.mark.parametrize(
    ("shell", "line", "offered"),
    [
        ("bash", "notifhist ba", ["backup"]),
        ("bash", "notifhist doctor --j", ["--json"]),
        ("zsh", "notifhist keys ", ["create", "list", "revoke"]),
        ("fish", "notifhist keys ", ["create", "list", "revoke"]),
    ],
)
def test_a_shell_completes(shell: str, line: str, offered: list[str], tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(run("sqlite:///none.db", "completion", shell).stdout)
    command = tmp_path / "bin" / "notifhist"
    command.parent.mkdir()
    main = "from notifhist.cli import main; main(prog_name='notifhist')"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "{main}" "$@"\n')
    command.chmod(0o755)
    words = line.split(" ")
    text = ASK[shell].format(line=shlex.quote(line), words=" ".join(map(shlex.quote, words)), last=len(words) - 1)
    variables = environment({}) | {"PATH": f"{command.parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
    found = subprocess.run(
        [shell, "-c", text], cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert found.stderr == ""
    assert [each.partition("\t")[0].partition(":")[0] for each in found.stdout.split("\n") if each] == offered


def test_other_shells_are_refused_with_a_list(tmp_path: Path) -> None:
    assert "'bash', 'zsh', 'fish'" in run("sqlite:///none.db", "completion", "tcsh", code=2).output
