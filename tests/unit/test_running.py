"""Services are found by their notes, and only those that run on the database asked for; nobody else is believed."""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from notifhist.metrics import keyed_requests_of
from notifhist.server.files import files_needed
from notifhist.server.running import METRICS_PREFIX, find_running, leave_note
from notifhist.store import machine, processes
from notifhist.store.processes import name_of_ours

CFG = SimpleNamespace(bind=["127.0.0.1:8000"], workers=3, threads=4, worker_connections=1000)
URL = "sqlite:///a.db"
NOBODY = 65_534
"""A user who is neither root nor the owner of the database's file."""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which services leave their notes, and nothing else does."""
    monkeypatch.setattr(machine, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("NOTIFHIST_DATABASE_URL", URL)
    return tmp_path


def metrics_of(place: Path, pid: int) -> Path:
    made = place / f"{METRICS_PREFIX}{pid}-x"
    made.mkdir(0o700)
    return made


def test_a_service_that_runs_is_found_by_its_database(place: Path) -> None:
    leave_note(metrics_of(place, os.getpid()), CFG)
    (found,) = find_running(f"sqlite:///{Path.cwd()}/a.db")
    assert (found.pid, found.bind, found.workers, found.threads) == (os.getpid(), "127.0.0.1:8000", 3, 4)
    assert found.files_needed == files_needed(1000, 4)
    assert list(find_running("sqlite:///b.db")) == []


def test_what_is_left_of_others_is_passed_over(place: Path) -> None:
    leave_note(metrics_of(place, 2**22 + 1), CFG)  # no process has such a pid
    leave_note(metrics_of(place, 2**31), CFG)  # nor can one have this
    (metrics_of(place, os.getppid()) / "service.json").write_text("")  # the memory was full
    metrics_of(place, os.getpid())
    assert list(find_running(URL)) == []


def test_a_service_whose_pid_another_process_has_by_now_is_passed_over(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = Path(tempfile.mkdtemp(prefix=name_of_ours(METRICS_PREFIX)))
    leave_note(directory, CFG)
    assert [each.metrics for each in find_running(URL)] == [directory]
    assert not processes.has_ended(directory.name, METRICS_PREFIX)
    monkeypatch.setattr(processes, "_started", lambda pid: "1")
    assert list(find_running(URL)) == []
    assert processes.has_ended(directory.name, METRICS_PREFIX)


def put_a_pipe(note: Path) -> None:
    os.mkfifo(note)


def put_a_link(note: Path) -> None:
    note.rename(note.with_name("another"))
    note.symlink_to("another")


def put_a_long_one(note: Path) -> None:
    note.write_text(note.read_text() + " " * 65_536)


def put_a_list(note: Path) -> None:
    note.write_text("[1]")


def put_a_deep_one(note: Path) -> None:
    note.write_text("[" * 60_000)


def put_no_number(note: Path) -> None:
    note.write_text(json.dumps(json.loads(note.read_text()) | {"workers": float("inf")}))


def open_the_folder(note: Path) -> None:
    note.parent.chmod(0o777)


@pytest.mark.parametrize(
    "spoil",
    [put_a_pipe, put_a_link, put_a_long_one, put_a_list, put_a_deep_one, put_no_number, open_the_folder],
    ids=lambda each: each.__name__,
)
def test_what_is_no_note_is_passed_over(place: Path, spoil: Callable[[Path], None]) -> None:
    directory = metrics_of(place, os.getpid())
    leave_note(directory, CFG)
    note = directory / "service.json"
    if spoil is put_a_pipe:
        note.unlink()
    else:
        assert len(list(find_running(URL))) == 1
    spoil(note)
    assert list(find_running(URL)) == []


def test_root_believes_the_owner_of_the_database_alone(place: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root reads notes of others")
    file = tmp_path / "a.db"
    file.touch()
    directory, url = metrics_of(place, os.getpid()), f"sqlite:///{file}"
    os.chown(directory, NOBODY, NOBODY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOTIFHIST_DATABASE_URL", url)
        leave_note(directory, CFG)
    assert list(find_running(url)) == []
    os.chown(file, NOBODY, NOBODY)
    assert [each.metrics for each in find_running(url)] == [directory]


@pytest.mark.parametrize("counts", [b"\x40" + bytes(7) + b"\xff" * 56, b"\x40" + bytes(63), b"\x10"])
def test_files_that_are_no_counts_are_told_as_such(place: Path, counts: bytes) -> None:
    directory = metrics_of(place, os.getpid())
    (directory / "counter_1.db").write_bytes(counts)
    with pytest.raises(ValueError, match=r"no counts|codec|Expecting"):
        keyed_requests_of(directory)


def test_a_pipe_among_the_counts_keeps_nobody(place: Path) -> None:
    directory = metrics_of(place, os.getpid())
    os.mkfifo(directory / "counter_1.db")
    assert keyed_requests_of(directory) == (0, {})


def test_a_note_that_cannot_be_written_stops_nobody(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_note(place / "gone", CFG)
    monkeypatch.setenv("NOTIFHIST_DATABASE_URL", "mysql://x")
    leave_note(metrics_of(place, os.getpid()), CFG)
    assert list(find_running(URL)) == []
