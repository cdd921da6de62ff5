"""What has a shell complete the commands."""

import os

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

_SHELLS = {
    "bash": "~/.local/share/bash-completion/completions/notifhist (read by the package bash-completion; without it, "
    "put the line above into ~/.bashrc)",
    "zsh": "a folder of $fpath, as _notifhist",
    "fish": "~/.config/fish/completions/notifhist.fish",
}
"""The shells that click knows, and where each of them looks for completions."""
_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' response type value completion
    response=$(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete $1)
    COMPREPLY=()
    for completion in $response; do
        IFS=',' read type value <<< "$completion"
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


@add_completion_class
class _Bash(BashComplete):
    """Completion in bash, where a word may hold colons, as our roles do.

    click's own asks for bash's words. To bash a word ends at each character of COMP_WORDBREAKS, `:` and `=` among
    them, and it replaces only what stands after the last one. So the words are taken from the line here, and what
    bash keeps is cut off from what is offered.
    """

    source_template = _BASH
    _kept, _option = "", ""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, the last of them apart: empty where none has begun."""
        *words, last = split_arg_string(os.environ["COMP_LINE"] + "x")  # x: so that there is a last one
        word = last[:-1]
        breaks = [each for each in ":=" if each in os.environ.get("COMP_WORDBREAKS", "")]
        self._kept = word[: max((word.rfind(each) + 1 for each in breaks), default=0)]
        self._option = word[: word.find("=") + 1] if word.startswith("-") else ""
        return words[1:], word

    def format_completion(self, item: CompletionItem) -> str:
        """Return what is offered without what bash keeps."""
        return f"{item.type},{(self._option + item.value).removeprefix(self._kept)}"


@click.command("completion", epilog="\b\n" + "\n".join(f"{shell}: {place}" for shell, place in _SHELLS.items()))
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what has a shell complete commands.

    \b
    In this session:   eval "$(notifhist completion bash)", and likewise in zsh;
                       notifhist completion fish | source
    In all sessions:   notifhist completion bash > FILE, where FILE is:
    """
    if made := get_completion_class(shell):
        click.echo(made(context.find_root().command, {}, "notifhist", "_NOTIFHIST_COMPLETE").source())
