"""The demo: the fixtures in a new database, a key to it, and commands to try."""

from dataclasses import replace
from pathlib import Path

from notifhist.auth import ADMIN, RUNS_EDIT, ApiKey, new_key
from notifhist.clock import Clock
from notifhist.config import ConfigError
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.item_ids import ItemKey, id_of, key_of
from notifhist.store import keys
from notifhist.store.database import Database
from notifhist.store.history import reading as history
from notifhist.store.runs import recording as runs
from notifhist.transfer.files import BadRecord, Record, Tenant, read_records
from notifhist.transfer.load import Loader, Report, Source, find_sources

TENANT = "123456"
"""The tenant of the published examples."""
_KEY_NAME = "demo"
_STARTED = "demo started"
"""The name of a key that opens nothing: it tells when loading began, for one that is interrupted to go on."""
_PUBLISHED, _LIFELIKE = "published", "lifelike"


def fixtures_folder() -> Path:
    """Return the folder of the fixtures: inside the installed package, or beside it in a checkout."""
    packaged = Path(__file__).parents[1] / "fixtures"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "fixtures"


def prepare(db: Database, clock: Clock, report: Report) -> str:
    """Load the fixtures into a new database, once, and return a new key to it; earlier ones are revoked.

    The lifelike set is moved so that it ends now. Raises ConfigError for a database that holds other data.
    """
    known = {key.name: key for key in keys.list_keys(db)}
    if _KEY_NAME not in known:
        if _STARTED not in known:
            if history.count_items(db) or runs.count_runs(db):
                raise ConfigError(
                    "The demo wants a new database, and this one holds other data: name a new one in "
                    "NOTIFHIST_DATABASE_URL."
                )
            known[_STARTED] = _add_key(db, _STARTED, clock.now_ms(), revoked=clock.now_ms())[1]
        _load(Loader(db, clock, report), known[_STARTED].created)
    keys.revoke_keys(db, _KEY_NAME, clock.now_ms())
    return _add_key(db, _KEY_NAME, clock.now_ms())[0]


def _add_key(db: Database, name: str, now_ms: int, revoked: int | None = None) -> tuple[str, ApiKey]:
    secret, key_id, secret_hash = new_key()
    key = ApiKey(key_id, name, TENANT, (ADMIN, RUNS_EDIT), secret_hash, now_ms, revoked=revoked)
    keys.add_key(db, key)
    return secret, key


def commands(key: str, address: str) -> list[str]:
    """Return commands that ask the service at `address` (host:port) for the published examples."""
    check = f"http://{address}/v1.0/{TENANT}/entities/enOne/alarms/alOne/notification_history/chOne"
    # The published item is of 10 November 2011, 00:39 UTC: no query of the last 7 days finds it.
    page = f"'{check}?from=1320883200000&to=1320886800000'"
    runs_url = f"http://{address}/api/v1/notifications/logs/run"
    runs_page = f"'{runs_url}?includeObjects=true&untilDate=2024-08-01T00:00:00Z'"
    return [
        f"curl -H 'X-Auth-Token: {key}' {page}",
        f"curl -H 'X-Auth-Token: {key}' -H 'Accept: application/xml' {page}",
        f"curl -H 'Authorization: Bearer {key}' {runs_page}",
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
    for record in read_records(source.path, source.place):
        if isinstance(record, BadRecord):
            raise ConfigError(f"The fixtures are damaged: {source.path}:{record.line}: {record.problem}")
        records.append(record)
    return records


def _newest_ms(record: Record) -> int:
    document = record.document
    newest: int = document["date_updated" if isinstance(record.place, Tenant) else "timestamp"]
    return newest


def _moved(record: Record, shift_ms: int) -> Record:
    """Return the record at another time; an item gets the id of that time."""
    document = dict(record.document)
    if isinstance(record.place, Tenant):
        document["date_created"] += shift_ms
        document["date_updated"] += shift_ms
    else:
        key = key_of(document["id"])
        document["id"] = id_of(ItemKey(key.ticks + shift_ms * TICKS_PER_MS, key.clock_and_node))
        document["timestamp"] += shift_ms
    return replace(record, document=document)
