import shutil
from pathlib import Path

import pytest

from notifhist.clock import Clock
from notifhist.config import ConfigError
from notifhist.store import keys
from notifhist.store.database import Database, ensure_connected, open_database
from notifhist.transfer import demo
from notifhist.transfer.load import Loader
from tests.conftest import NOW_MS
from tests.records import all_items, count_items, count_runs, record_runs

LATER_MS = NOW_MS + 3_600_000


def silent(done: int, expected: int = 0) -> None:
    """Report nothing."""


class Interrupted(Exception):
    """Ctrl-C."""


def test_an_interrupted_demo_goes_on_where_it_stopped(db: Database, sqlite_tables: Path, tmp_path: Path) -> None:
    def interrupt(done: int, expected: int = 0) -> None:
        if count_runs(db) and count_items(db) > 100:
            raise Interrupted

    with pytest.raises(Interrupted):
        demo.set_up(db, Clock(NOW_MS), interrupt)
    demo.set_up(db, Clock(LATER_MS), silent)
    resumed = sorted(item["id"] for _, item in all_items(db))
    assert len(resumed) == count_items(db)

    loaded = count_items(db), count_runs(db)
    demo.set_up(db, Clock(LATER_MS), silent)
    assert (count_items(db), count_runs(db)) == loaded
    newest = max(item["timestamp"] for _, item in all_items(db))
    assert NOW_MS - 60_000 <= newest <= NOW_MS
    # What an undisturbed demo loads: nothing is there twice, nothing is missing.
    expected = sum(1 for path in demo.fixtures_folder().rglob("*") if path.suffix in (".json", ".xml"))
    assert expected > 30
    assert loaded == _undisturbed(Path(shutil.copy(sqlite_tables, tmp_path)))


def _undisturbed(empty: Path) -> tuple[int, int]:
    db = open_database(f"sqlite:///{empty}")
    ensure_connected(db)
    demo.set_up(db, Clock(NOW_MS), silent)
    loaded = count_items(db), count_runs(db)
    db.close()
    return loaded


def test_a_database_with_other_data_is_refused(db: Database) -> None:
    record_runs(db, "t", [{"notification_type": "WEEKLY_REPORT", "medium": "EMAIL", "status": "CREATED"}], NOW_MS)
    with pytest.raises(ConfigError, match="wants a new database"):
        demo.set_up(db, Clock(NOW_MS), silent)
    assert keys.list_keys(db) == []


def test_damaged_fixtures_are_named(db: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    damaged = tmp_path / "lifelike" / "t" / "api" / "v1" / "notifications" / "logs" / "run.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text('{"runs": [{"id": 1}]}')
    (tmp_path / "published").mkdir()
    monkeypatch.setattr(demo, "fixtures_folder", lambda: tmp_path)
    with pytest.raises(ConfigError, match=r"run\.json:1: "):
        demo.set_up(db, Clock(NOW_MS), Loader(db, Clock(NOW_MS)).report)
