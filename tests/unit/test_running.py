"""Services are found by their notes, and only those that run on the database asked for."""

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from notifhist.server import running
from notifhist.server.files import files_needed
from notifhist.server.running import METRICS_PREFIX, find_running, leave_note

CFG = SimpleNamespace(bind=["127.0.0.1:8000"], workers=3, threads=4, worker_connections=1000)
URL = "sqlite:///a.db"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which services leave their notes, and nothing else does."""
    monkeypatch.setattr(running, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("NOTIFHIST_DATABASE_URL", URL)
    return tmp_path


def metrics_of(place: Path, pid: int) -> Path:
    made = place / f"{METRICS_PREFIX}{pid}-x"
    made.mkdir()
    return made


def test_a_service_that_runs_is_found_by_its_database(place: Path) -> None:
    leave_note(metrics_of(place, os.getpid()), CFG)
    (found,) = find_running(f"sqlite:///{Path.cwd()}/a.db")
    assert (found.pid, found.bind, found.workers, found.threads) == (os.getpid(), "127.0.0.1:8000", 3, 4)
    assert found.files_needed == files_needed(1000, 4)
    assert list(find_running("sqlite:///b.db")) == []


def test_what_is_left_of_others_is_passed_over(place: Path) -> None:
    leave_note(metrics_of(place, 2**22 + 1), CFG)  # no process has such a pid
    (metrics_of(place, os.getppid()) / "service.json").write_text("")  # the memory was full
    metrics_of(place, os.getpid())
    assert list(find_running(URL)) == []


def test_a_note_that_cannot_be_written_stops_nobody(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_note(place / "gone", CFG)
    monkeypatch.setenv("NOTIFHIST_DATABASE_URL", "mysql://x")
    leave_note(metrics_of(place, os.getpid()), CFG)
    assert list(find_running(URL)) == []
