"""The files that a test loads: those of the folders it names, and what in these is none of records."""

from dataclasses import replace
from pathlib import Path

import pytest

from notifhist.schemas.query import Tenant
from notifhist.schemas.resources import RUN_RESOURCE
from notifhist.testing.files import Files
from notifhist.transfer.files import NDJSON, Destination, is_discovery
from notifhist.transfer.load import Source, find_sources

_NO_PLACE = (
    "its path is none of records, such as TENANT/entities/EN/alarms/AL/notification_history/CH.json; "
    "keep other files out of a folder that is loaded"
)


def sources_of(paths: tuple[str | Path, ...], files: Files) -> list[Source]:
    """Return the files to load; the test fails for a document whose path is none of records.

    Raises FileNotFoundError: a test without its records would tell little.
    """
    __tracebackhide__ = True
    found = []
    for path in paths:
        place = files.find(path)
        some = list(find_sources([place], None))
        taken = {each.path for each in some}
        if place.is_dir() and (passed := [each for each in sorted(place.rglob("*")) if _is_misplaced(each, taken)]):
            pytest.fail("\n".join(f"{each}: {_NO_PLACE}" for each in passed), pytrace=False)
        if not some:
            raise FileNotFoundError(f"There is no file of records in {place}")
        found += some
    return found


def _is_misplaced(path: Path, taken: set[Path]) -> bool:
    """Say whether a document in a folder would be passed over. Lists of checks are known to follow from their items."""
    return path.suffix in (".json", ".xml") and path not in taken and path.is_file() and not is_discovery(path)


def of_tenant(source: Source, tenant: str) -> Source:
    """Return a file whose records are of a tenant."""
    if source.path.suffix in NDJSON:
        return source
    if source.destination is None:
        return Source(source.path, Destination(RUN_RESOURCE, Tenant(tenant)))
    destination = source.destination
    return Source(source.path, replace(destination, owner=replace(destination.owner, tenant=tenant)))
