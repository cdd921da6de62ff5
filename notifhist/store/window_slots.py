"""A file of windows in slots of a fixed size, which lies there sparse. Whoever calls holds the lock of the file.

The header has the room of a bucket. Then there are buckets: slots, and a mark at the end. The digest of a name says
which bucket its slot is in. When that is full of windows that are open, it gets its mark, and the slot is in the next,
or in one after that. The mark stays, so a name that had to go on is found when there is room again.
"""

import os
from struct import Struct

HEADER = b"notifhist: windows, 1"
BUCKETS = 1024
BUCKET_BYTES = 4096  # as a page of memory has, so an account costs at most a page
CHAIN = 8
"""How many buckets a slot may be in. With 8, nine tenths of all slots are taken before a name finds none."""

SLOT = Struct("=16sqq")  # the digest, how many requests, the end of the window in ms; all zero where none ever was
COUNT = Struct("=qq")
DIGEST_BYTES = SLOT.size - COUNT.size


def format_anew(file: int) -> None:
    """Give an open file its form and no windows, unless it has that form. Raises OSError."""
    size = (1 + BUCKETS) * BUCKET_BYTES
    if os.fstat(file).st_size != size or os.pread(file, len(HEADER), 0) != HEADER:
        os.ftruncate(file, 0)
        os.ftruncate(file, size)
        os.pwrite(file, HEADER, 0)  # at last: a process that dies before leaves no header, so the next begins again


def count(file: int, digest: bytes, window_ms: int, now_ms: int, by: int = 1) -> tuple[int, int]:
    """Count `by` requests; return how many the window has now, and its end in ms. Raises OSError, also without a slot.

    A window that ends later than one that starts now was made by another clock (a frozen one): it counts as over.
    """
    place, used, ends_ms = _slot(file, digest, now_ms)
    if not now_ms < ends_ms <= now_ms + window_ms:
        used, ends_ms = 0, now_ms + window_ms
    used = max(used + by, 0)
    os.pwrite(file, SLOT.pack(digest, used, ends_ms), place)
    return used, ends_ms


def _slot(file: int, digest: bytes, now_ms: int) -> tuple[int, int, int]:
    """Return where the slot of a digest is, its count and its end; if it has none, those of a slot that is free."""
    first, end = int.from_bytes(digest[:4], "little"), BUCKET_BYTES - SLOT.size
    free: tuple[int, int, int] | None = None
    for bucket in range(first, first + CHAIN):
        start = (1 + bucket % BUCKETS) * BUCKET_BYTES
        slots = os.pread(file, BUCKET_BYTES, start)
        if len(slots) != BUCKET_BYTES:
            raise OSError("the file of the counts has been cut short")
        at = slots.find(digest, 0, end)
        while at > 0 and at % SLOT.size:  # what looks like the digest, but is a part of two slots
            at = slots.find(digest, at + 1, end)
        if at >= 0:
            return start + at, *COUNT.unpack_from(slots, at + DIGEST_BYTES)
        if free is None and (at := _first_free(slots, now_ms)) >= 0:
            free = start + at, 0, now_ms
        if not slots[end]:  # no slot is in the next bucket because this one was full
            if free is not None:
                break
            os.pwrite(file, b"\1", start + end)
    if free is None:
        raise OSError(f"no slot is free, {CHAIN} buckets are full of windows that are open")
    return free


def _first_free(slots: bytes, now_ms: int) -> int:
    """Return where in a bucket the first slot without a window is, or with one that is over; else -1."""
    for at in range(0, BUCKET_BYTES - SLOT.size, SLOT.size):
        used, ends_ms = COUNT.unpack_from(slots, at + DIGEST_BYTES)
        if not used or ends_ms <= now_ms:
            return at
    return -1
