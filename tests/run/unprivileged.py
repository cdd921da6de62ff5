"""`notifhist-run` as a user who is not root, although root starts it; Python may be where that user may not enter."""

import os
import resource
import sys

from notifhist.run.wrapper import run

NOBODY = 65534


def main() -> None:
    """Run it. The first argument says how many processes it may have, `-` for as many as it may now."""
    most, *arguments = sys.argv[1:]
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    if most != "-":
        resource.setrlimit(resource.RLIMIT_NPROC, (int(most), int(most)))
    run(arguments)


if __name__ == "__main__":
    main()
