"""What the caller handed down, before Python changed it: the command is to get just that."""

import os
import signal
from contextlib import suppress

IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
"""Python ignores these from its start."""
_RESET_SIGNALS = ("python", "pytest", "node")
"""Programs that ignore them too, but not for what they start."""


def original_environment() -> dict[bytes, bytes]:
    """Return the environment as the caller gave it: Python adds LC_CTYPE to that of a daemon, which has no locale."""
    with suppress(OSError), open("/proc/self/environ", "rb") as file:
        pairs = (entry.partition(b"=") for entry in file.read().split(b"\0"))
        return {name: value for name, equals, value in pairs if name and equals}
    return dict(os.environb)


def ignored_before_python() -> list[signal.Signals]:
    """Return those of the signals that Python ignores which the caller had ignored, and the command inherits.

    Python does not tell what they were before. Icinga 2, Nagios and systemd ignore SIGPIPE, and leave that to what they
    start; so the parent's own state says it, unless the parent is one of those that reset it for what they start.
    """
    try:
        with open(f"/proc/{os.getppid()}/status") as file:
            fields = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        if fields["Name"].startswith(_RESET_SIGNALS):
            return []
        ignored = int(fields["SigIgn"], 16)
    except (OSError, ValueError, KeyError):
        return []
    return [each for each in IGNORED_BY_PYTHON if ignored >> (each - 1) & 1]
