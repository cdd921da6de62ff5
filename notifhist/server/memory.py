"""What glibc does with the memory of a long answer once that is sent."""

import ctypes
import os

OWN_MAPPING_FROM_BYTES = 8 * 2**20
"""A buffer from this size on is a mapping of its own, and is given back to the kernel as soon as it is freed."""
KEPT_BYTES = 16 * 2**20
"""What each thread keeps at most, behind the last buffer in use, when smaller ones are freed."""
_MALLOPT = {"MALLOC_TRIM_THRESHOLD_": (-1, KEPT_BYTES), "MALLOC_MMAP_THRESHOLD_": (-3, OWN_MAPPING_FROM_BYTES)}
"""The parameters of mallopt(3), by the variables of the environment that set them."""


def keep_memory() -> bool:
    """Have glibc keep the memory of a long answer for the next one; return whether it takes the settings.

    With its own thresholds the kernel finds and clears that memory anew for each answer: pages of 1000 items came
    0.6 to 0.7 times as often (docs/performance-notes.md). A threshold that the environment sets stays as it is.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False  # another libc
    results = [mallopt(*setting) for variable, setting in _MALLOPT.items() if variable not in os.environ]
    return all(results)
