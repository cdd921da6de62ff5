"""Which keys are remembered, for how long, and who is told of a revocation."""

import os
import shutil
from pathlib import Path
from time import monotonic

import pytest

from notifhist.store import machine, remembered_keys
from notifhist.store.database import Database
from notifhist.store.keys import find_key, revoke_keys
from notifhist.store.machine import machine_directory
from notifhist.store.remembered_keys import RememberedKeys, note_revocation
from tests.conftest import MakeKey

URL = "sqlite:////nowhere/remembered.db"
pytestmark = pytest.mark.usefixtures("shared_memory")


@pytest.fixture
def shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machine, "SHARED_MEMORY", tmp_path)
    return tmp_path


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids that the database was asked for."""
    ids: list[str] = []

    def find(db: Database, key_id: str) -> object:
        ids.append(key_id)
        return find_key(db, key_id)

    monkeypatch.setattr(remembered_keys, "find_key", find)
    return ids


@pytest.fixture
def key_id(make_key: MakeKey) -> str:
    return make_key().split("_")[1]


@pytest.fixture
def keys(db: Database, key_id: str, looked_up: list[str]) -> RememberedKeys:
    """Keys of which one is remembered: the first request only makes the file of revocations."""
    keys = RememberedKeys(URL)
    for _ in range(2):
        assert keys.find(db, key_id) is not None
    looked_up.clear()
    return keys


def test_a_key_is_looked_up_once(db: Database, keys: RememberedKeys, key_id: str, looked_up: list[str]) -> None:
    assert keys.find(db, key_id) == find_key(db, key_id)
    assert looked_up == []


def test_what_is_no_key_is_looked_up_each_time(db: Database, keys: RememberedKeys, looked_up: list[str]) -> None:
    assert [keys.find(db, "0" * 12) for _ in range(2)] == [None, None]
    assert len(looked_up) == 2


def test_a_revoked_key_is_known_at_once(db: Database, keys: RememberedKeys, key_id: str) -> None:
    for others in (RememberedKeys(URL), RememberedKeys(URL)):  # as of other processes
        others.find(db, key_id)
    revoke_keys(db, key_id, 5)
    assert note_revocation(URL)
    for each in (keys, others):
        found = each.find(db, key_id)
        assert found is not None
        assert found.revoked == 5


def test_a_revocation_that_nobody_tells_is_known_in_time(
    db: Database, keys: RememberedKeys, key_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    revoke_keys(db, key_id, 5)
    now = monotonic() + remembered_keys.REMEMBERED_S
    monkeypatch.setattr(remembered_keys, "monotonic", lambda: now)
    found = keys.find(db, key_id)
    assert found is not None
    assert found.revoked == 5


def test_a_second_counts_from_the_start_of_the_lookup(
    db: Database, keys: RememberedKeys, key_id: str, looked_up: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [monotonic() + 10]
    monkeypatch.setattr(remembered_keys, "monotonic", lambda: now[0])

    def find(db: Database, key_id: str) -> object:
        looked_up.append(key_id)
        now[0] += remembered_keys.REMEMBERED_S
        return find_key(db, key_id)

    monkeypatch.setattr(remembered_keys, "find_key", find)
    for _ in range(2):
        keys.find(db, key_id)
    assert looked_up == [key_id] * 2


def test_a_revocation_during_the_lookup_is_known_to_the_next(
    db: Database, keys: RememberedKeys, key_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(db: Database, key_id: str) -> object:
        found = find_key(db, key_id)
        revoke_keys(db, key_id, 5)
        note_revocation(URL)
        return found

    note_revocation(URL)
    with monkeypatch.context() as patch:
        patch.setattr(remembered_keys, "find_key", find)
        keys.find(db, key_id)
    found = keys.find(db, key_id)
    assert found is not None
    assert found.revoked == 5


def test_a_deleted_file_is_missed_and_made_again(
    db: Database, keys: RememberedKeys, key_id: str, looked_up: list[str]
) -> None:
    shutil.rmtree(machine_directory(URL))
    keys._may_create_at = 0.0
    for _ in range(3):
        keys.find(db, key_id)
    assert looked_up == [key_id] * 2


def test_without_a_place_for_the_file_nothing_is_remembered(
    db: Database, key_id: str, looked_up: list[str], shared_memory: Path
) -> None:
    directory = machine_directory(URL)
    directory.mkdir(mode=0o755)  # open to others, so not trusted
    keys = RememberedKeys(URL)
    for _ in range(3):
        assert keys.find(db, key_id) is not None
    assert len(looked_up) == 3
    assert list(directory.iterdir()) == []


def test_no_more_keys_are_remembered_than_fit(
    db: Database, keys: RememberedKeys, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered_keys, "_MOST", 3)
    for _ in range(10):
        keys.find(db, make_key().split("_")[1])
        assert len(keys._found) <= 3


def test_where_nobody_serves_nobody_has_to_be_told(shared_memory: Path) -> None:
    assert note_revocation(URL)
    assert list(shared_memory.iterdir()) == []


def test_a_link_leads_to_no_other_file(db: Database, keys: RememberedKeys, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"whole")
    file = machine_directory(URL) / "revocations"
    file.unlink()
    file.symlink_to(victim)
    assert not note_revocation(URL)
    assert victim.read_bytes() == b"whole"


def test_a_pipe_keeps_nobody_waiting(keys: RememberedKeys) -> None:
    file = machine_directory(URL) / "revocations"
    file.unlink()
    os.mkfifo(file)
    assert not note_revocation(URL)


def test_a_file_of_another_user_is_not_trusted(
    db: Database, keys: RememberedKeys, key_id: str, looked_up: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid():
        pytest.skip("only root can make files of another user's")
    os.chown(machine_directory(URL) / "revocations", 12345, 12345)
    for _ in range(3):
        keys.find(db, key_id)
    assert len(looked_up) == 3


@pytest.fixture
def of_another_user(shared_memory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a service that another user runs on the database."""
    if os.geteuid():
        pytest.skip("only root can make files of another user's")
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 12345)
        directory = machine_directory(URL)
    directory.mkdir(mode=0o700)
    file = directory / "revocations"
    file.touch()
    for path in (directory, file):
        os.chown(path, 12345, 12345)
    return directory


def test_root_tells_the_processes_of_all_users(of_another_user: Path, keys: RememberedKeys) -> None:
    assert note_revocation(URL)
    assert (of_another_user / "revocations").stat().st_size == 1
    assert (machine_directory(URL) / "revocations").stat().st_size == 1


def test_root_does_not_write_to_a_file_of_a_third_user(of_another_user: Path) -> None:
    os.chown(of_another_user / "revocations", 0, 0)
    assert not note_revocation(URL)
    assert (of_another_user / "revocations").stat().st_size == 0
