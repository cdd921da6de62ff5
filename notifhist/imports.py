"""Importing much at once without looking for garbage amid it. The standard library alone: pytest's plugin uses it."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_garbage() -> Iterator[None]:
    """Do imports in the block. Nothing that is imported is garbage; to look for it takes a tenth of the time, 30 ms.

    By freeze and unfreeze it counts as old: else the next look at what is new goes through all of it, for as long.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            if not gc.get_freeze_count():  # what a tests' project has frozen stays so
                gc.freeze()
                gc.unfreeze()
            gc.enable()
