"""The checks of the machine: memory that processes share, open files, proxies in front."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress

from notifhist.clock import Clock
from notifhist.config import PREFIX
from notifhist.metrics import NOT_FORWARDED, NOT_TRUSTED, keyed_requests_of
from notifhist.operations.findings import Finding, NotMade, fault, warning
from notifhist.operations.installation import MB, Installation
from notifhist.server.files import CONNECTIONS, files_needed, most_files
from notifhist.server.settings import THREADS
from notifhist.store.request_counts import open_counter

SHARED_BYTES = 16 * MB
"""The counts behind rate limits take up to 4 MB, the metrics of a worker some 100 kB each; twice that at a reload."""
MISSING_SHARE, UNTRUSTED_SHARE = 0.01, 0.5
"""Shares of the requests with a valid key; less may be a person who tries something, or a proxy of some client's."""
_CANNOT_SERVE_FILES = 128


def check_memory(installation: Installation) -> Iterator[Finding]:
    """Find a /dev/shm in which processes cannot share what they count."""
    place = installation.shared_memory
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        yield warning(
            f"{place} is missing or not writable, so what processes count and share lies on the disk of the temporary "
            "folder, which is slower.",
            f"Mount a tmpfs at {place}, mode 1777; in a container or a unit of systemd, let the service have it.",
        )
    elif (free := shutil.disk_usage(place).free) < SHARED_BYTES:
        yield warning(
            f"{place} has {free // MB} MB left; once it is full, requests are not counted against rate limits, and "
            "/metrics shows too little.",
            f"Remove what fills it, or make it larger (Docker: --shm-size); {SHARED_BYTES // MB} MB should be free.",
        )


def check_rate_limits(installation: Installation) -> Iterator[Finding]:
    """Find a Redis that does not count requests."""
    settings = installation.settings
    counter = open_counter(settings.rate_limit_storage, settings.database_url, Clock(settings.now))
    if not counter.is_available():
        yield warning(
            "The Redis that counts requests cannot be reached, so no request is refused for its rate limit.",
            f"Start it, or correct {PREFIX}RATE_LIMIT_STORAGE.",
        )


def check_files(installation: Installation) -> Iterator[Finding]:
    """Find processes that may not open as many files as their clients need."""
    for each in installation.running:
        yield from _too_few(f"The service (process {each.pid}, at {each.bind})", each.max_files(), each.files_needed)
    if not installation.running:
        yield from _too_few("What is started here", most_files(), files_needed(CONNECTIONS, THREADS))


def _too_few(who: str, most: int | None, needed: int) -> Iterator[Finding]:
    if most is not None and most < needed:
        yield (fault if most < _CANNOT_SERVE_FILES else warning)(
            f"{who} may have {most} files open, and a worker with all its clients needs {needed}: some of them would "
            "be disconnected, and others answered 503.",
            f"Allow more: LimitNOFILE={needed} in the unit of systemd, or `ulimit -n {needed}` before it starts.",
        )


def check_proxies(installation: Installation) -> Iterator[Finding]:
    """Find proxies that are trusted and not there, and proxies that are there and not trusted.

    Only requests tell that: a service counts those with a valid key that do not fit `NOTIFHIST_TRUSTED_PROXIES`.
    """
    if not installation.running:
        raise NotMade("no service on this database runs here, and only its requests tell")
    trusted = installation.settings.trusted_proxies
    counts = []
    for each in installation.running:
        with suppress(OSError, ValueError):
            counts.append((each.bind, *keyed_requests_of(each.metrics)))
    if not counts:
        raise NotMade("what the service has counted cannot be read, or it has just ended")
    for bind, keyed, by_problem in counts:
        missing, untrusted = by_problem.get(NOT_FORWARDED, 0), by_problem.get(NOT_TRUSTED, 0)
        if missing > MISSING_SHARE * keyed:
            yield warning(
                f"{missing} of {keyed} requests with a key to the service at {bind} have not come through as many "
                f"proxies as {PREFIX}TRUSTED_PROXIES says, {trusted}: who reaches it directly can claim any address "
                "and host.",
                f"Set {PREFIX}TRUSTED_PROXIES to the number of proxies, and let only them reach the service.",
            )
        if untrusted > UNTRUSTED_SHARE * keyed:
            yield warning(
                f"{untrusted} of {keyed} requests with a key to the service at {bind} have come through a proxy, and "
                "none is trusted: links name the address behind it, and all its clients share ten failed sign-ins a "
                "minute.",
                f"Set {PREFIX}TRUSTED_PROXIES to the number of proxies in front, and start the service again.",
            )
