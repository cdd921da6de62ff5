"""Keys as tests hold them: reports of failures show none."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "NOTIFHIST_TEST_KEY"
"""The environment variable that has the key of a deployed service; a command line is seen by all users of a machine."""


class Key(str):
    """A key. It is sent as any text; its repr, which pytest shows of arguments and variables, is blotted out."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def given_key(option: str) -> Key:
    """Return the key of `--notifhist-key`, where `@FILE` names a file that has it, or that of the variable; else "".

    Raises OSError for a file that cannot be read.
    """
    if option.startswith("@"):
        return Key(Path(option[1:]).read_text(encoding="utf-8").strip())
    return Key(option or os.environ.get(VARIABLE, "").strip())
