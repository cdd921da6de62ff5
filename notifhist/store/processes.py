"""Names that tell which process made what has them, for what has to be removed, or passed over, once it has ended."""

import os
import re
from contextlib import suppress
from pathlib import Path

_MAKER = re.compile(r"([1-9][0-9]{0,9})-(?:([0-9]+)-)?", re.ASCII)
"""What follows the prefix of a name: a pid, and when that process started, where the system tells."""
_AFTER_THE_NAME_OF_THE_PROGRAM = 19
"""Field 22 of /proc/PID/stat, counted from the third one: the program's name, the second, may have blanks."""


def name_of_ours(prefix: str) -> str:
    """Return the beginning of a name, which tells that this process made what has it; random letters follow."""
    started = _started(os.getpid())
    return f"{prefix}{os.getpid()}-" if started is None else f"{prefix}{os.getpid()}-{started}-"


def maker_of(name: str, prefix: str) -> int | None:
    """Return the pid that such a name tells, None if it tells none.

    Raises ProcessLookupError if that process has ended; it has, too, if another one has its pid by now.
    """
    found = _MAKER.match(name.removeprefix(prefix))
    if found is None:
        return None
    pid, started = int(found[1]), found[2]
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass  # it is another user's
    except OverflowError:
        raise ProcessLookupError(f"no process has the pid {pid}") from None
    if started is not None and _started(pid) not in (None, started):
        raise ProcessLookupError(f"another process has the pid {pid} by now")
    return pid


def has_ended(name: str, prefix: str) -> bool:
    """Say whether the process that made what has such a name has ended; False if the name tells none."""
    try:
        maker_of(name, prefix)
    except ProcessLookupError:
        return True
    return False


def _started(pid: int) -> str | None:
    """Return when a process started, in ticks since the machine did; None where /proc does not tell."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return fields[_AFTER_THE_NAME_OF_THE_PROGRAM]
    return None
