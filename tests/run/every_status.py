"""Prints, for ways to end, what the caller of a bare and of a wrapped command sees.

One process for all of them: Python starts once, and the wrapper is run in children of it.
"""

import json
import os
import signal
import sys

from notifhist.run.wrapper import run

SPARED = (signal.SIGKILL, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCHLD)
HARMLESS = (signal.SIGCONT, signal.SIGURG, signal.SIGWINCH)
KILLS = [
    f"kill -{number} $$"
    for number in sorted({*signal.valid_signals(), signal.SIGKILL})
    if number == signal.SIGKILL or number not in (*SPARED, *HARMLESS)
]


def status_of(script: str, *, wrapped: bool) -> int:
    """Return the wait status of a script, run bare or wrapped."""
    words = ["/bin/sh", "-c", f"ulimit -c 0; {script}"]
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        if wrapped:
            run(["--no-flush", "--", *words])
        os.execv(words[0], words)
    return os.waitpid(pid, 0)[1]


if __name__ == "__main__":
    ends = [f"exit {code}" for code in sys.argv[1:]] + KILLS
    print(json.dumps({end: [status_of(end, wrapped=False), status_of(end, wrapped=True)] for end in ends}))  # noqa: T201
