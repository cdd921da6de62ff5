"""What storing costs: recording, loading, exporting, purging, disk and memory, each beside what it is measured by."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import storing, working
from bench.storing import Figure
from bench.surroundings import surroundings
from bench.targets import OwnPostgres, SqliteFile, Target, postgres
from notifhist.transfer.load import Report
from notifhist.transfer.progress import progress


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    items: int = 50_000
    """To load and to export, of 2 kB."""
    disk_items: int = 20_000
    purged: int = 1_000_000
    """Expired items to purge, of 300 bytes."""
    requests: int = 100_000
    """To one worker, whose memory is looked at."""
    rounds: int = 5
    seconds: float = 2.0
    """Of a window in which items are recorded."""


Step = Callable[[Plan, Target, Path], Sequence[Figure]]
STEPS: Mapping[str, Step] = {
    "load": storing.load,
    "record": storing.record,
    "disk": storing.disk,
    "purge": working.purge,
    "memory": working.memory,
}


def store(
    plan: Plan, kinds: Sequence[str], cache: Path, only: Sequence[str] = tuple(STEPS)
) -> dict[str, Any]:
    """Measure, and return the results as a document for JSON. `kinds`: sqlite, postgres.

    Databases and files lie in `cache`, so on its disk. Raises RuntimeError where a command fails.
    """
    databases = {}
    with progress("Measuring", total=len(kinds) * len(only)) as report:
        for kind in kinds:
            with _target(kind, cache) as target:
                databases[kind] = list(_figures(plan, target, cache, only, report))
    return {"kind": "store", **surroundings(), "plan": asdict(plan), "databases": databases}


def _figures(
    plan: Plan, target: Target, cache: Path, only: Sequence[str], report: Report
) -> Iterator[dict[str, Any]]:
    for name in only:
        with tempfile.TemporaryDirectory(prefix="store-", dir=cache) as scratch:
            for figure in STEPS[name](plan, target, Path(scratch)):
                yield figure._asdict() | {"met": figure.met}
        report(1)


@contextmanager
def _target(kind: str, cache: Path) -> Iterator[Target]:
    cache.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if kind == "sqlite":
            target: Target = SqliteFile(cache / "store-sqlite")
        else:
            target = OwnPostgres(stack.enter_context(postgres(cache / "postgres")), "store")
        target.clear()
        yield target
        target.clear()
