"""The shells that are here complete the commands of `notifhist`, by what `notifhist completion` prints."""

import os
import pty
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.system.commands import run
from tests.system.service import PATIENCE_S, environment

ASK = {
    "bash": """
source ./script
complete -p notifhist >/dev/null
COMP_LINE={line} COMP_POINT=${{#COMP_LINE}}
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

HEAVY = {"flask", "lxml", "marshmallow", "peewee"}


def prepare(folder: Path, shell: str) -> dict[str, str]:
    """Write what completes into the file `script` of a folder; return the environment in which it works."""
    (folder / "script").write_text(run("sqlite:///none.db", "completion", shell).stdout)
    command = folder / "bin" / "notifhist"
    command.parent.mkdir()
    main = "from notifhist.cli import main; main(prog_name='notifhist')"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "{main}" "$@"\n')
    command.chmod(0o755)
    return environment({}) | {"PATH": f"{command.parent}:/usr/bin:/bin", "HOME": str(folder)}


@pytest.mark.parametrize(
    ("shell", "line", "offered"),
    [
        ("bash", "notifhist ba", ["backup"]),
        ("bash", "notifhist doctor --j", ["--json"]),
        ("bash", "notifhist keys create --role monitoring:c", ["creator"]),
        ("bash", "notifhist keys create --role=notification-logs:", ["view", "edit"]),
        ("zsh", "notifhist keys ", ["create", "list", "revoke"]),
        ("fish", "notifhist keys ", ["create", "list", "revoke"]),
    ],
)
def test_a_shell_completes(shell: str, line: str, offered: list[str], tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    words = line.split(" ")
    text = ASK[shell].format(line=shlex.quote(line), words=" ".join(map(shlex.quote, words)), last=len(words) - 1)
    variables = prepare(tmp_path, shell)
    found = subprocess.run(
        [shell, "-c", text], cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert found.stderr == ""
    assert [each.partition("\t")[0].partition(":")[0] for each in found.stdout.split("\n") if each] == offered


def test_commands_are_completed_and_listed_without_what_they_import() -> None:
    code = f"""import sys
from notifhist.cli import main
try:
    main(sys.argv[1:], prog_name="notifhist")
finally:
    print(*sorted({HEAVY!r} & sys.modules.keys()), file=sys.stderr)"""
    asked = {"_NOTIFHIST_COMPLETE": "bash_complete", "COMP_LINE": "notifhist b", "COMP_WORDBREAKS": " :="}
    for variables, arguments, said in ((asked, (), "plain,backup\n"), ({}, ("--help",), "  backup      Back up the")):
        command = (sys.executable, "-c", code, *arguments)
        found = subprocess.run(
            command, env=environment({}) | variables, capture_output=True, text=True, timeout=PATIENCE_S
        )
        assert said in found.stdout
        assert found.stderr == "\n"


def test_whoever_types_in_bash_gets_the_role_past_its_colon(tmp_path: Path) -> None:
    variables = prepare(tmp_path, "bash") | {"PS1": "", "TERM": "dumb", "INPUTRC": "/dev/null"}
    typed = "A=1 notifhist keys create --na\tn --role mon\tc\t--role=notification-logs:e\tx\x01printf '<%s>' \rexit\r"
    ours, its = pty.openpty()
    shell = ("bash", "--norc", "--noprofile", "-i")
    os.write(ours, b"source ./script\r" + typed.encode())
    with subprocess.Popen(shell, cwd=tmp_path, env=variables, stdin=its, stdout=PIPE, stderr=PIPE) as bash:
        printed, said = bash.communicate(timeout=PATIENCE_S)
    os.close(its)
    os.close(ours)
    words = [
        "A=1",
        "notifhist",
        "keys",
        "create",
        "--name",
        "n",
        "--role",
        "monitoring:creator",
        "--role=notification-logs:edit",
        "x",
    ]
    assert printed.decode() == "".join(f"<{each}>" for each in words), said.decode()


def test_other_shells_are_refused_with_a_list(tmp_path: Path) -> None:
    assert "'bash', 'zsh', 'fish'" in run("sqlite:///none.db", "completion", "tcsh", code=2).output
