"""How often a process that loads looks for garbage, which is objects that refer to each other in a circle."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_MORE_OBJECTS = 100_000
"""After so many more objects it looks, instead of some hundreds."""


@contextmanager
def rarely_looking() -> Iterator[None]:
    """Look for garbage more rarely in the block, and in the processes that are forked there.

    Hardly any is made, and a batch of items has many objects: to look at them took `load` some 7 to 13 % of its CPU.
    """
    before = gc.get_threshold()
    gc.set_threshold(_MORE_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
