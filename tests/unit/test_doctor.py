"""`notifhist doctor` finds each fault that is planted, alone, and nothing where there is none."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from notifhist.config import MS_PER_DAY
from notifhist.operations import installation
from notifhist.operations.doctor import CHECKS
from notifhist.operations.findings import Level
from notifhist.operations.upkeep_checks import EXPIRY_DAYS, PURGE_DAYS
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.schemas.query import CheckPath
from notifhist.server.running import Running
from notifhist.store.database import Database, ensure_connected, open_database, postgresql
from notifhist.store.keys import list_keys
from notifhist.store.migrating import migrate
from notifhist.store.purge import note_purge
from tests.conftest import NOW_MS, TENANT, MakeKey, store_key
from tests.former_layout import FORMER_MIGRATIONS, make_former_layout
from tests.full_disk import FullDisk
from tests.http.helpers import item_at
from tests.records import record_items
from tests.unit.examined import REAL_CLOCK, Doctor

NOBODY = "127.0.0.1:1"
"""An address at which nobody listens."""
CHECK = CheckPath(TENANT, "enOne", "alOne", "chOne")
DAYS_KEPT = 30
ROOT = Path(__file__).parents[2]


def test_nothing_is_found_on_a_sound_installation(sound_url: str, doctor: Doctor) -> None:
    examined = doctor(sound_url)
    assert examined.findings == []
    assert examined.code == 0
    unseen = {"proxies"} if sound_url.startswith("sqlite") else {"proxies", "disk"}
    assert examined.not_made.keys() == unseen
    assert [each.check for each in examined.results] == [check.name for check in CHECKS]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"RETENTION_DAYS": "a month"}, "NOTIFHIST_RETENTION_DAYS='a month': give an integer"),
        ({"PAGES_USER_HEADER": "X-User", "PAGES_USER_KEY_ID": "0123456789ab"}, "needs NOTIFHIST_TRUSTED_PROXIES"),
        ({"REPLICA_URL": f"postgresql://{NOBODY}/x"}, "only a PostgreSQL has replicas"),
    ],
    ids=["a value", "two that contradict each other", "a replica of a file"],
)
def test_a_setting_that_stops_the_service_is_found(
    sound_sqlite: str, doctor: Doctor, settings: dict[str, str], told: str
) -> None:
    found = dict(doctor(sound_sqlite, **settings).findings)["settings"]
    assert found.level is Level.FAULT
    assert told in found.problem


@pytest.mark.parametrize(
    ("name", "remedy"), [("RETENTION_DAY", "Write NOTIFHIST_RETENTION_DAYS, if that is meant"), ("COLOUR", "Remove it")]
)
def test_a_misspelt_setting_is_found(sound_sqlite: str, doctor: Doctor, name: str, remedy: str) -> None:
    found = doctor(sound_sqlite, **{name: "7"}).only("names of settings", Level.WARNING)
    assert f"NOTIFHIST_{name} is no setting" in found.problem
    assert remedy in found.remedy


def test_variables_of_kubernetes_are_no_misspelt_settings(sound_sqlite: str, doctor: Doctor) -> None:
    port = {f"PORT_8000_TCP{end}": "8000" for end in ("", "_PROTO", "_PORT", "_ADDR")}
    service = {
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT": "8000",
        "SERVICE_PORT_HTTP": "8000",
        "PORT": "tcp://10.0.0.1",
    }
    assert doctor(sound_sqlite, **port, **service, WEB_SERVICE_HOST="10.0.0.1").findings == []
    doctor(sound_sqlite, PORT="8000").only("names of settings", Level.WARNING)


def test_a_clock_that_stands_still_is_found(sound_sqlite: str, doctor: Doctor) -> None:
    assert "2011-11-10" in doctor(sound_sqlite, NOW="2011-11-10").only("frozen clock", Level.WARNING).problem


AS_ANOTHER = """
import json, os
from notifhist.operations.doctor import examine
from notifhist.operations.installation import Installation
examine(Installation())  # imports what it needs: the other user may not read Python's own folder
os.seteuid(os.geteuid() or 65534)  # root may write to each file
print(json.dumps({each.check: finding for each in examine(Installation()) for finding in each.findings}))
"""


def found_by_another(url: str, mode: int) -> tuple[Path, dict[str, tuple[str, str, str]]]:
    """Give the file of a database a mode, in a folder of anybody's; return it, and what a process of another finds."""
    file = Path(url.removeprefix("sqlite:///"))
    file.parent.chmod(0o777)
    file.chmod(mode)
    environ = {"NOTIFHIST_DATABASE_URL": url, "PATH": os.environ["PATH"]}
    # In a process of its own: the threads of this one would all be the other user.
    done = subprocess.run([sys.executable, "-c", AS_ANOTHER], env=environ, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return file, json.loads(done.stdout)


def test_a_file_to_which_the_user_may_not_write_is_found(sound_sqlite: str) -> None:
    level, problem, remedy = found_by_another(sound_sqlite, 0o444)[1]["writable"]
    assert level == Level.FAULT
    assert "readonly" in problem
    assert f"Give user {os.geteuid() or 65_534}" in remedy


def test_a_file_that_the_user_may_not_read_is_told_with_its_owner(sound_sqlite: str) -> None:
    file, found = found_by_another(sound_sqlite, 0)
    level, _, remedy = found["database"]
    assert level == Level.FAULT
    assert f"give that user {file} (it belongs to user {file.stat().st_uid}, ----------)" in remedy


def test_a_damaged_file_is_found(sound_sqlite: str, doctor: Doctor) -> None:
    with closing(open_database(sound_sqlite)) as db:
        ensure_connected(db)
        record_items(
            db, CHECK, [item_at(NOW_MS - n, n, status="x" * 500) for n in range(300)], now_ticks=NOW_MS * 10_000
        )
    file = Path(sound_sqlite.removeprefix("sqlite:///"))
    with file.open("r+b") as damaged:
        damaged.seek(file.stat().st_size // 2)
        damaged.write(os.urandom(32_768))
    found = dict(doctor(sound_sqlite).findings)["integrity"]
    assert found.level is Level.FAULT
    assert "put a backup in its place" in found.remedy


@pytest.mark.parametrize("kind", ["missing", "damaged", "postgresql"])
def test_a_database_that_cannot_be_reached_is_found(tmp_path: Path, doctor: Doctor, kind: str) -> None:
    url = f"postgresql://user:secret@{NOBODY}/x" if kind == "postgresql" else f"sqlite:///{tmp_path}/a.db"
    if kind == "damaged":
        (tmp_path / "a.db").write_bytes(b"no database" * 1000)
    examined = doctor(url)
    found = examined.only("database", Level.FAULT)
    assert "secret" not in str(examined.findings)
    assert "\n" not in found.problem
    assert examined.not_made["tables"] == "the database cannot be reached"
    assert kind == "damaged" or not (tmp_path / "a.db").exists()


def test_tables_that_are_not_there_are_found(empty_url: str, empty: Database, doctor: Doctor) -> None:
    found = [each for each in doctor(empty_url).findings if each[0] != "durability"]
    assert [(name, finding.level) for name, finding in found] == [("tables", Level.FAULT)]
    assert "0001_tables" in found[0][1].problem
    assert "`notifhist migrate`" in found[0][1].remedy


def test_tables_of_another_version_are_found(empty_url: str, empty: Database, doctor: Doctor) -> None:
    make_former_layout(empty, *FORMER_MIGRATIONS)
    found = dict(doctor(empty_url).findings)["tables"]
    assert found.level is Level.FAULT
    assert found.problem.startswith("This database was made by another version")
    assert "notifhist export" in found.remedy


@pytest.mark.usefixtures("postgres_url")  # which does not; one that is named may
def test_a_server_that_does_not_sync_is_found(postgres_database: str, doctor: Doctor) -> None:
    with closing(open_database(postgres_database)) as db:
        ensure_connected(db)
        store_key(db)
    assert "fsync = on" in doctor(postgres_database).only("durability", Level.FAULT).remedy


def test_a_file_that_is_not_in_wal_mode_is_found(sound_sqlite: str, doctor: Doctor) -> None:
    with closing(sqlite3.connect(sound_sqlite.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("PRAGMA journal_mode = delete").fetchone() == ("delete",)
    assert "was not in WAL mode" in doctor(sound_sqlite).only("durability", Level.WARNING).problem
    assert doctor(sound_sqlite).findings == []


def test_a_disk_that_is_nearly_full_is_found(sound_sqlite: str, doctor: Doctor, full_disk: FullDisk) -> None:
    copy = shutil.copy(sound_sqlite.removeprefix("sqlite:///"), full_disk.folder)
    found = doctor(f"sqlite:///{copy}").only("disk", Level.FAULT)
    assert " MB left" in found.problem


@pytest.mark.parametrize(
    ("skew_ms", "level", "told"),
    [(90_000, Level.FAULT, "s ahead of"), (-5_000, Level.WARNING, "5 s behind"), (-90_000, Level.FAULT, "s behind")],
)
def test_a_clock_that_differs_from_the_servers_is_found(
    sound_postgres: str, doctor: Doctor, skew_ms: int, level: Level, told: str
) -> None:
    found = doctor(sound_postgres, now_ms=lambda: REAL_CLOCK.now_ms() + skew_ms).only("clock skew", level)
    assert told in found.problem


def test_shared_memory_that_is_missing_is_found(sound_sqlite: str, doctor: Doctor, tmp_path: Path) -> None:
    found = doctor(sound_sqlite, shared_memory=tmp_path / "shm").only("shared memory", Level.WARNING)
    assert "is missing or not writable" in found.problem


def test_shared_memory_that_is_nearly_full_is_found(sound_sqlite: str, doctor: Doctor, full_disk: FullDisk) -> None:
    found = doctor(sound_sqlite, shared_memory=full_disk.folder).only("shared memory", Level.WARNING)
    assert "12 MB left" in found.problem


def test_a_server_with_too_few_connections_left_is_found(sound_postgres: str, doctor: Doctor) -> None:
    import psycopg

    clients = []
    try:
        with suppress(psycopg.OperationalError):  # all are taken
            while True:
                clients.append(psycopg.connect(sound_postgres))
        clients.pop().close()
        found = doctor(sound_postgres).only("connections", Level.WARNING)
    finally:
        for client in clients:
            client.close()
    assert "connections left" in found.problem


def test_a_replica_that_cannot_be_read_from_is_found(sound_postgres: str, doctor: Doctor) -> None:
    for url, told in ((f"postgresql://u:secret@{NOBODY}/x", "cannot be read"), (sound_postgres, "it is no replica")):
        found = doctor(sound_postgres, REPLICA_URL=url).only("replica", Level.WARNING)
        assert told in found.problem
        assert "secret" not in found.problem


def test_counts_that_cannot_be_read_are_no_check(
    sound_sqlite: str, doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Running(os.getpid(), "127.0.0.1:8000", 1, 2, 8, tmp_path / "gone")
    monkeypatch.setattr(installation, "find_running", lambda url: [gone])
    assert "cannot be read" in str(doctor(sound_sqlite).not_made["proxies"])


def test_a_redis_that_does_not_answer_is_found(sound_sqlite: str, doctor: Doctor) -> None:
    found = doctor(sound_sqlite, RATE_LIMIT_STORAGE=f"redis://{NOBODY}/0").only("rate limits", Level.WARNING)
    assert "no request is refused" in found.problem


@pytest.mark.parametrize("keys", ["none", "expired", "revoked"])
def test_that_no_key_is_valid_is_found(sqlite_database: str, doctor: Doctor, keys: str) -> None:
    with closing(open_database(sqlite_database)) as db:
        ensure_connected(db)
        if keys == "expired":
            store_key(db, expires=REAL_CLOCK.now_ms() - 1)
        elif keys == "revoked":
            store_key(db, revoked=1)
    assert "notifhist keys create" in doctor(sqlite_database).only("keys", Level.WARNING).remedy


def test_keys_that_expire_soon_are_found(sound_url: str, make_key: MakeKey, doctor: Doctor) -> None:
    soon, later = (REAL_CLOCK.now_ms() + days * MS_PER_DAY for days in (EXPIRY_DAYS - 1, EXPIRY_DAYS + 1))
    for expires in (soon, later, REAL_CLOCK.now_ms() - MS_PER_DAY):
        make_key(expires=expires)
    assert f"expires in {EXPIRY_DAYS - 2} days" in doctor(sound_url).only("keys", Level.WARNING).problem


def test_keys_expire_by_the_clock_of_the_database_server(
    sound_postgres: str, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_NOW_TICKS", f"{postgresql._NOW_TICKS} + {2 * MS_PER_DAY * TICKS_PER_MS}")
    with closing(open_database(sound_postgres)) as db:
        ensure_connected(db)
        store_key(db, expires=REAL_CLOCK.now_ms() + (EXPIRY_DAYS + 1) * MS_PER_DAY)
    assert f"expires in {EXPIRY_DAYS - 2} days" in doctor(sound_postgres).only("keys", Level.WARNING).problem


@pytest.mark.parametrize(
    ("days", "told"), [(0.5, "expires within a day, at"), (1.5, "expires in 1 day, at"), (2.5, "expires in 2 days, at")]
)
def test_the_time_that_a_key_has_left_is_told_in_words(
    sound_sqlite: str, doctor: Doctor, days: float, told: str
) -> None:
    with closing(open_database(sound_sqlite)) as db:
        ensure_connected(db)
        store_key(db, expires=REAL_CLOCK.now_ms() + int(days * MS_PER_DAY))
    assert told in doctor(sound_sqlite).only("keys", Level.WARNING).problem


def test_names_that_others_choose_write_no_lines_of_their_own(sound_sqlite: str, doctor: Doctor) -> None:
    with closing(open_database(sound_sqlite)) as db:
        ensure_connected(db)
        store_key(db, tenant="a\nnothing found\x1b[2J", expires=REAL_CLOCK.now_ms() + MS_PER_DAY)
    found = doctor(sound_sqlite).only("keys", Level.WARNING)
    assert found.problem.isprintable()


def test_that_the_key_of_a_proxys_users_is_not_valid_is_found(sound_sqlite: str, doctor: Doctor) -> None:
    given = {"PAGES_USER_HEADER": "X-User", "TRUSTED_PROXIES": "1"}
    found = doctor(sound_sqlite, **given, PAGES_USER_KEY_ID="0123456789ab").only("key of the pages", Level.WARNING)
    assert "0123456789ab, which is no valid key" in found.problem
    with closing(open_database(sound_sqlite)) as db:
        ensure_connected(db)
        (key,) = list_keys(db)
    assert doctor(sound_sqlite, **given, PAGES_USER_KEY_ID=key.id).findings == []


def test_that_nobody_purges_is_found(sound_url: str, db: Database, doctor: Doctor) -> None:
    now_ms = REAL_CLOCK.now_ms()
    expired_ms = now_ms - DAYS_KEPT * MS_PER_DAY
    record_items(db, CHECK, [item_at(expired_ms - MS_PER_DAY)], now_ms * TICKS_PER_MS)
    assert doctor(sound_url).findings == []  # a purge may be due
    record_items(db, CHECK, [item_at(expired_ms - (PURGE_DAYS + 1) * MS_PER_DAY)], now_ms * TICKS_PER_MS)
    assert "there has been none yet" in doctor(sound_url).only("purge", Level.WARNING).problem
    assert doctor(sound_url, RETENTION_DAYS="0").findings == []
    note_purge(db, now_ms - (PURGE_DAYS + 1) * MS_PER_DAY)
    assert "the last one was at" in doctor(sound_url).only("purge", Level.WARNING).problem
    note_purge(db, now_ms - MS_PER_DAY)  # it leaves what is too much for it
    assert doctor(sound_url).findings == []


def test_every_finding_says_what_to_do(empty_url: str, doctor: Doctor, tmp_path: Path) -> None:
    with closing(open_database(empty_url, create=True)) as db:
        ensure_connected(db)
        migrate(db)
    for _, found in doctor(empty_url, NOW="1", DAYS="1", shared_memory=tmp_path / "shm").findings:
        assert found.problem.endswith(".")
        assert found.remedy.endswith(".")
