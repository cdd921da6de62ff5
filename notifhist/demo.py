"""The demo: the fixtures in a new database, a key to it, and commands to try."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from notifhist.auth import ADMIN, RUNS_EDIT, ApiKey, new_key
from notifhist.bulk.loading import Outcome, Report, Source, find_sources, load_file, store
from notifhist.bulk.records import Record, Tenant, read_records
from notifhist.clock import TICKS_PER_MS, Clock
from notifhist.config import ConfigError
from notifhist.database import Database
from notifhist.paging import Key, id_of, key_of
from notifhist.queries import history, keys, runs

TENANT = "123456"
"""The tenant of the published examples."""
_KEY_NAME = "demo"
_PUBLISHED, _LIFELIKE = "published", "lifelike"


def fixtures_folder() -> Path:
    """Return the folder of the fixtures: inside the installed package, or beside it in a checkout."""
    packaged = Path(__file__).parent / "fixtures"
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "fixtures"


def count_records() -> int:
    """Return how many records `prepare` loads into a new database."""
    sources = find_sources([fixtures_folder()], None)
    return sum(1 for source in sources for _ in read_records(source.path, source.place))


def prepare(db: Database, clock: Clock, report: Report) -> str:
    """Load the fixtures into a new database, once, and return a new key to it; earlier ones are revoked.

    The lifelike set is moved so that it ends now. Raises ConfigError for a database that holds other data.
    """
    has_data = bool(history.count_items(db) or runs.count_runs(db))
    was_demo = any(key.name == _KEY_NAME for key in keys.list_keys(db))
    if has_data and not was_demo:
        raise ConfigError("The demo wants a new database, and this one holds data: name another.")
    secret, key_id, secret_hash = new_key()
    keys.revoke_keys(db, _KEY_NAME, clock.now_ms())
    keys.add_key(db, ApiKey(key_id, _KEY_NAME, TENANT, (ADMIN, RUNS_EDIT), secret_hash, clock.now_ms()))
    if not has_data:
        _load(db, clock, report)
    return secret


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


def _load(db: Database, clock: Clock, report: Report) -> None:
    outcome = Outcome()
    for source in find_sources([fixtures_folder() / _PUBLISHED], None):
        load_file(db, source, clock, outcome, skip_bad=False, report=report)
    lifelike = list(find_sources([fixtures_folder() / _LIFELIKE], None))
    shift_ms = clock.now_ms() - max(_newest_ms(record) for source in lifelike for record in _sound(source))
    for source in lifelike:
        moved = (_moved(record, shift_ms) for record in _sound(source))
        store(db, source, moved, clock, outcome, report)
    if outcome.bad:
        raise ConfigError("The fixtures are damaged: " + "; ".join(outcome.bad))


def _sound(source: Source) -> Iterator[Record]:
    return (each for each in read_records(source.path, source.place) if isinstance(each, Record))


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
        document["id"] = id_of(Key(key.ticks + shift_ms * TICKS_PER_MS, key.rest))
        document["timestamp"] += shift_ms
    return replace(record, document=document)
