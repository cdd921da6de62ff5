"""Prints, for every kind of outputs that a caller may have, how a bare and a wrapped command ends, and what arrives.

One process for all of them: Python starts once, and the wrapper is run in children of it.
"""

import json
import os
import pty
import select
import signal
import sys
from contextlib import suppress
from itertools import cycle
from pathlib import Path

from notifhist.run.wrapper import run

FILES = {"file": os.O_WRONLY, "file for both ways": os.O_RDWR, "file at its end": os.O_WRONLY | os.O_APPEND}
DEVICES = ("/dev/null", "/dev/full")
KINDS = (*FILES, *DEVICES, "pipe", "pipe that nobody reads", "terminal", "nothing")
SAME = "the same"
SCRIPTS = (
    "echo out; echo err >&2; exit 5",
    "echo out && echo err >&2 && exit 3",
    "[ -t 1 ] && echo terminal; [ -t 2 ] && echo terminal >&2; exit 0",
    "exec cat /etc/passwd",
    "head -c 200000 /dev/zero; exit 4",
    "ls --color=auto / || exit 7",
    "echo out; exec 1>&2; echo err; kill -TERM $$",
)


class Output:
    """An output of a command: what the command gets, and what arrives there, if that can be seen."""

    def __init__(self, kind: str, path: Path) -> None:
        self.path, self.source = path, -1
        self.number = -1
        if kind in FILES:
            path.write_text("before\n")
            self.number = os.open(path, FILES[kind])
        elif kind in DEVICES:
            self.number = os.open(kind, os.O_WRONLY)
        elif kind != "nothing":
            self.source, self.number = pty.openpty() if kind == "terminal" else os.pipe()
        if kind == "pipe that nobody reads":
            os.close(self.source)
            self.source = -1
        self.arrived = b""

    def read(self) -> None:
        """Take what there is; at the end, close."""
        data = b""
        with suppress(OSError):  # the end of a terminal
            data = os.read(self.source, 65_536)
        self.arrived += data
        if not data:
            os.close(self.source)
            self.source = -1


def outcome_of(script: str, kinds: tuple[str, str], folder: Path, *, wrapped: bool) -> tuple[int, list[str]]:
    """Return the wait status of a script whose outputs are of these kinds, and what arrives there."""
    outputs = [Output(kind, folder / name) for kind, name in zip(kinds, ("out", "err"), strict=True) if kind != SAME]
    numbers = [outputs[0].number, outputs[-1].number]
    pid = os.fork()
    if pid == 0:
        words = ["/bin/sh", "-c", script]
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        for target, number in zip((1, 2), numbers, strict=True):
            os.dup2(number, target) if number >= 0 else os.close(target)
        os.closerange(3, 100)
        if wrapped:
            run(["--no-flush", "--", *words])
        os.execv(words[0], words)
    for number in set(numbers) - {-1}:
        os.close(number)
    while sources := [output for output in outputs if output.source >= 0]:
        ready, _, _ = select.select([output.source for output in sources], [], [])
        for output in sources:
            if output.source in ready:
                output.read()
    status = os.waitpid(pid, 0)[1]
    files = [output.path.read_bytes() if output.path.exists() else b"" for output in outputs]
    return status, [(output.arrived + file).hex() for output, file in zip(outputs, files, strict=True)]


if __name__ == "__main__":
    told = {}
    pairs = [pair for kind in KINDS for pair in ((kind, SAME), (kind, kind), (kind, "pipe"), ("pipe", kind))]
    for pair, script in zip(dict.fromkeys(pairs), cycle(SCRIPTS), strict=False):
        both = [outcome_of(script, pair, Path(sys.argv[1]), wrapped=wrapped) for wrapped in (False, True)]
        told[f"{pair}: {script}"] = both
    print(json.dumps(told))  # noqa: T201
