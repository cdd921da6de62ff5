"""Data sets, built once and used again until they are too old or the store's tables change."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import documents
from bench.data import MS_PER_DAY, DataSet, Place, Report, ServiceStore, fill, spread
from bench.idiomatic import IdiomaticStore
from bench.targets import Target
from notifhist.store import migrations
from notifhist.store.database import ensure_connected, migrate, open_database

_LASTS_MS = 4 * MS_PER_DAY
"""After that its oldest items are about to expire."""


@dataclass(frozen=True)
class Prepared:
    """A data set that is there."""

    url: str
    """The service's database."""
    now_ms: int
    """When it was built."""
    places: Mapping[int, Sequence[Place]]
    """Where pages begin, by the number of items on them."""


def layout() -> str:
    """Return a name for the store's tables and for what is made up: it changes with every migration."""
    digest = hashlib.sha256()
    for path in (*sorted(Path(migrations.__path__[0]).glob("*.py")), Path(documents.__file__)):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def prepare(
    folder: Path,
    target: Target,
    data_set: DataSet,
    limits: Mapping[int, int],
    report: Report,
    idiomatic: Path | None = None,
) -> Prepared:
    """Return the data set, built in `target` if it is not there; what is known of it is kept in `folder`.

    `limits`: how many places to know, by the number of items on the page that begins there. `idiomatic`: where
    that application is to have the same.
    """
    key = f"{data_set.digest()} {layout()} {dict(limits)}"
    meta = _known(folder, key)
    if meta is None:
        target.clear()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "meta.json").unlink(missing_ok=True)
        meta = {"key": key, **_build(target, data_set, limits, report, idiomatic)}
        (folder / "meta.json").write_text(json.dumps(meta))
    else:
        report(data_set.items + data_set.runs)
    places = {
        int(limit): [Place(data_set.series[index].check, item_id) for index, item_id in found]
        for limit, found in meta["places"].items()
    }
    return Prepared(target.url, meta["now_ms"], places)


def _known(folder: Path, key: str) -> dict[str, Any] | None:
    with suppress(FileNotFoundError):
        meta: dict[str, Any] = json.loads((folder / "meta.json").read_text())
        if meta["key"] == key and _now_ms() - meta["now_ms"] < _LASTS_MS:
            return meta
    return None


def _build(
    target: Target, data_set: DataSet, limits: Mapping[int, int], report: Report, idiomatic: Path | None
) -> dict[str, Any]:
    now_ms = _now_ms()
    spots = {limit: spread(data_set, number, limit) for limit, number in limits.items()}
    wanted = {spot for found in spots.values() for spot in found}
    db = open_database(target.url, create=True)
    ensure_connected(db)
    try:
        migrate(db)
        store = ServiceStore(db, now_ms)
        if idiomatic is None:
            ids = fill(data_set, [store], now_ms, wanted, report)
        else:
            idiomatic.unlink(missing_ok=True)
            other = IdiomaticStore(str(idiomatic))
            ids = fill(data_set, [store, other], now_ms, wanted, report)
            other.close()
    finally:
        db.close()
    target.settle()
    places = {limit: [(spot[0], ids[spot]) for spot in found] for limit, found in spots.items()}
    return {"now_ms": now_ms, "places": places}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
