"""The start of `notifhist-run`, before anything that takes time is imported."""

import signal
from typing import NoReturn

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until we forward signals, one ends us as it ends a bare command


def main() -> NoReturn:
    """Run the command of `sys.argv`."""
    from notifhist.run.wrapper import main as run  # with what it imports it takes 10 ms

    run()
