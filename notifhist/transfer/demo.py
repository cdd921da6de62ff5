"""The demo: the fixtures in a new database, a key to it, and commands to try."""

from dataclasses import replace
from pathlib import Path

from notifhist.auth import ADMIN, RUNS_EDIT
from notifhist.clock import Clock
from notifhist.config import MS_PER_DAY, ConfigError
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.item_ids import ItemKey, id_of, key_of
from notifhist.schemas.resources import ITEM_RESOURCE
from notifhist.store import keys
from notifhist.store.database import Database
from notifhist.store.meta import get_meta, set_meta
from notifhist.transfer.export import count_lines
from notifhist.transfer.files import BadRecord, Record, read_records
from notifhist.transfer.load import Loader, Report, Source, find_sources
from notifhist.transfer.scratch import TENANT, add_new_key

_KEY_NAME = "demo"
_STARTED_MS, _LOADED = "demo_started_ms", "demo_loaded"
"""Names in `meta`: the time when loading began, so that an interrupted start can go on, and the mark of its end."""
_TIMES = frozenset({"timestamp", "date_created", "date_delivered", "date_updated"})
_PUBLISHED, _LIFELIKE = "published", "lifelike"


def fixtures_folder() -> Path:
    """Return the folder of the fixtures: inside the installed package, or beside it in a checkout."""
    packaged = Path(__file__).parents[1] / "fixtures"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "fixtures"


def set_up(db: Database, clock: Clock, report: Report) -> str:
    """Load the fixtures into a new database, once, and return a new key to it; earlier ones are revoked.

    The times of the lifelike set are shifted so that it ends now. Raises ConfigError if there is other data.
    """
    if get_meta(db, _LOADED) is None:
        started = get_meta(db, _STARTED_MS)
        if started is None:
            if count_lines(db):
                raise ConfigError(
                    "The demo wants a new database, and this one holds other data: name a new one in "
                    "NOTIFHIST_DATABASE_URL."
                )
            started = str(clock.now_ms())
            set_meta(db, _STARTED_MS, started)
        _load(Loader(db, clock, report), int(started))
        set_meta(db, _LOADED, "yes")
    keys.revoke_keys(db, _KEY_NAME, clock.now_ms())
    key, _ = add_new_key(db, _KEY_NAME, TENANT, (ADMIN, RUNS_EDIT), clock.now_ms())
    return key


def commands(key: str, address: str, now_ms: int) -> list[str]:
    """Return commands that ask the service at `address` (host:port) for the published examples, and for failures.

    The failures are those of the 24 hours before `now_ms` (ms since the epoch).
    """
    check = f"http://{address}/v1.0/{TENANT}/entities/enOne/alarms/alOne/notification_history/chOne"
    # The published item is of 10 November 2011, 00:39 UTC: no query of the last 7 days finds it.
    page = f"'{check}?from=1320883200000&to=1320886800000'"
    runs_url = f"http://{address}/api/v1/notifications/logs/run"
    runs_page = f"'{runs_url}?includeObjects=true&untilDate=2024-08-01T00:00:00Z'"
    logs_page = f"'http://{address}/api/v1/notifications/logs?notificationRunIds=812'"
    failed = f"http://{address}/v1.0/{TENANT}/deliveries?format=csv&outcome=failed&from={now_ms - MS_PER_DAY}"
    return [
        f"curl -H 'X-Auth-Token: {key}' {page}",
        f"curl -H 'X-Auth-Token: {key}' -H 'Accept: application/xml' {page}",
        f"curl -H 'Authorization: Bearer {key}' {runs_page}",
        f"curl -H 'Authorization: Bearer {key}' {logs_page}",
        f"curl -H 'X-Auth-Token: {key}' '{failed}'",
    ]


def _load(loader: Loader, now_ms: int) -> None:
    for source in find_sources([fixtures_folder() / _PUBLISHED], None):
        loader.load(source)
    lifelike = [(each, _records(each)) for each in find_sources([fixtures_folder() / _LIFELIKE], None)]
    newest_ms = max(_newest_ms(record) for _, records in lifelike for record in records)
    shift_ms = now_ms - newest_ms
    loader.report(0, expected=sum(len(records) for _, records in lifelike))
    for source, records in lifelike:
        loader.store(source, (_moved(record, shift_ms) for record in records))
    if loader.bad:
        raise ConfigError("The fixtures are damaged: " + "; ".join(loader.bad))


def _records(source: Source) -> list[Record]:
    records = []
    for record in read_records(source.path, source.destination):
        if isinstance(record, BadRecord):
            raise ConfigError(f"The fixtures are damaged: {source.path}:{record.line}: {record.problem}")
        records.append(record)
    return records


def _newest_ms(record: Record) -> int:
    newest: int = max(record.document.get(name, 0) for name in _TIMES)
    return newest


def _moved(record: Record, shift_ms: int) -> Record:
    """Return the record at another time; an item gets the id of that time."""
    document = dict(record.document)
    for name in _TIMES & document.keys():
        document[name] += shift_ms
    if record.resource is ITEM_RESOURCE:
        key = key_of(document["id"])
        document["id"] = id_of(ItemKey(key.ticks + shift_ms * TICKS_PER_MS, key.clock_and_node))
    return replace(record, document=document)
