"""A command that tells all that it got from its caller, to compare a wrapped command with a bare one."""

import json
import os
import stat
import sys


def kind_of(number: int) -> str:
    """Return what a standard descriptor is."""
    try:
        mode = os.fstat(number).st_mode
    except OSError:
        return "closed"
    return {stat.S_IFIFO: "pipe", stat.S_IFREG: "file", stat.S_IFCHR: "device", stat.S_IFSOCK: "socket"}[
        stat.S_IFMT(mode)
    ]


def main() -> None:
    """Write it to the file of the first argument, since a standard stream may be closed."""
    signals = {}
    with open("/proc/self/status") as status:
        for line in status:
            name, _, value = line.partition(":")
            if name in ("SigBlk", "SigIgn", "SigCgt"):
                signals[name] = value.strip()
    with open("/proc/self/environ", "rb") as environ:
        variables = sorted(environ.read().decode(errors="surrogateescape").split("\0"))
    seen = {
        "argv": [word.encode(errors="surrogateescape").hex() for word in sys.argv[2:]],
        "environ": variables,
        "signals": signals,
        "cwd": os.getcwd(),
        "umask": os.umask(0),
        "nice": os.nice(0),
        "group": os.getpgrp(),
        "session": os.getsid(0),
        "descriptors": [kind_of(number) for number in range(3)],
        "more": sorted(
            name for name in os.listdir("/proc/self/fd") if int(name) > 2 and kind_of(int(name)) in ("pipe", "file")
        ),
    }
    with open(sys.argv[1], "w") as file:
        json.dump(seen, file)


main()
