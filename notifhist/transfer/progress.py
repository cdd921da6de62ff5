"""The bar of a long command, and how Ctrl-C ends one: between two batches, never within one."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:  # takes a fifth of what `notifhist keys` does to start, 80 ms
    from rich.progress import Progress

    from notifhist.transfer.load import Report


@contextmanager
def progress(
    title: str, total: int = 0, *, unit: str = "records", kept: str = "what is done stays done"
) -> Iterator["Report"]:
    """Show a bar, if standard error is a terminal; yield the function that advances it.

    `kept` says what an interruption leaves, in the error that it ends with.

    Ctrl-C takes effect when that function is called, so that the reported number is exact; a second one at once.
    """
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def report(done: int, expected: int = 0) -> None:
        bar.update(task, advance=done, total=(state.total or 0) + expected)
        if interrupted:
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    with _bar() as bar:
        task = bar.add_task(title, total=total)
        (state,) = bar.tasks
        if before is signal.default_int_handler:  # not if it is ignored, in the background
            signal.signal(signal.SIGINT, interrupt)
        try:
            yield report
        except KeyboardInterrupt:
            raise click.ClickException(
                f"{title} was interrupted after {state.completed:.0f} of {state.total:.0f} {unit}; {kept}."
            ) from None
        finally:
            signal.signal(signal.SIGINT, before)


def _bar() -> "Progress":
    # Most commands show none, and to import it takes 40 ms.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    parts = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    return Progress(*parts, console=console, disable=not console.is_terminal)
