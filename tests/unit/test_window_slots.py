import multiprocessing
import os
import threading
from collections import Counter
from pathlib import Path

import pytest

from notifhist.clock import Clock
from notifhist.store import window_slots
from notifhist.store.request_counts import MachineCounter
from tests.unit.conftest import NOW_MS, SettableClock

BUCKETS, SLOTS = 4, 3


@pytest.fixture
def few_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four buckets of three slots; a name's slot is in one of three of them."""
    monkeypatch.setattr(window_slots, "BUCKETS", BUCKETS)
    monkeypatch.setattr(window_slots, "BUCKET_BYTES", (SLOTS + 1) * window_slots.SLOT.size)
    monkeypatch.setattr(window_slots, "CHAIN", 3)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names which all belong into the last bucket."""

    def digest(name: str) -> bytes:
        return (BUCKETS - 1).to_bytes(8, "little") + name.encode().rjust(8, b"-")

    monkeypatch.setattr("notifhist.store.request_counts._digest", digest)
    return [f"name{number}" for number in range(10)]


@pytest.mark.usefixtures("few_slots")
def test_names_of_one_bucket_go_on_to_the_next_until_there_is_no_slot(
    counter: MachineCounter, names: list[str]
) -> None:
    for used in (1, 2):
        assert [counter.hit(name, 60)[0] for name in names[:9]] == [used] * 9
    with pytest.raises(OSError, match="no slot is free, 3 buckets are full of windows that are open"):
        counter.hit(names[9], 60)
    assert [counter.hit(name, 60)[0] for name in names[:9]] == [3] * 9


@pytest.mark.usefixtures("few_slots")
def test_a_slot_is_used_again_when_its_window_is_over(
    counter: MachineCounter, clock: SettableClock, names: list[str]
) -> None:
    for number in range(50):
        for name in names[:9]:
            assert counter.hit(f"{name}{number}"[-8:], 60) == (1, clock.at_ms / 1000 + 60)
        clock.at_ms += 59_999
        with pytest.raises(OSError, match="no slot is free"):
            counter.hit("another", 60)
        clock.at_ms += 1
    assert (counter.directory / "windows").stat().st_size == (1 + BUCKETS) * window_slots.BUCKET_BYTES


@pytest.mark.usefixtures("few_slots")
def test_a_name_that_had_to_go_on_is_found_when_there_is_room_before_it(
    counter: MachineCounter, clock: SettableClock, names: list[str]
) -> None:
    counter.hit(names[0], 1)
    for name in names[1:7]:
        counter.hit(name, 60)
    clock.at_ms += 1000  # now the first slot of all is free, and names[6] is in the third bucket
    assert counter.hit(names[6], 60)[0] == 2
    assert counter.hit(names[7], 60)[0] == 1  # takes it
    assert [counter.hit(name, 60)[0] for name in names[1:8]] == [2, 2, 2, 2, 2, 3, 2]


def test_a_window_of_no_requests_is_free_by_any_clock(tmp_path: Path) -> None:
    counter = MachineCounter(tmp_path / "counts", Clock(-1_000_000))
    assert [counter.hit("a", 60)[0] for _ in range(3)] == [1, 2, 3]


def test_what_looks_like_a_digest_between_two_slots_is_none(
    counter: MachineCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = {"first": bytes(8) + b"aaaabbbb", "second": b""}
    monkeypatch.setattr("notifhist.store.request_counts._digest", digests.__getitem__)
    counter.hit("first", 60)
    slot = window_slots.SLOT.pack(digests["first"], 1, NOW_MS + 60_000)
    digests["second"] = slot[-20:-4]
    file = counter._file
    assert file is not None
    home = int.from_bytes(digests["second"][:4], "little") % window_slots.BUCKETS
    os.pwrite(file, slot, (1 + home) * window_slots.BUCKET_BYTES)
    assert [counter.hit("second", 60)[0] for _ in range(3)] == [1, 2, 3]
    assert os.pread(file, len(slot), (1 + home) * window_slots.BUCKET_BYTES) == slot


@pytest.mark.parametrize(
    "content",
    [b"", b"text", b"notifhist: windows, 0".ljust(1025 * 4096, b"x"), b"notifhist: windows, 1", bytes(1025 * 4096)],
    ids=["empty", "text", "another version", "cut short", "no header"],
)
def test_a_file_of_another_form_is_made_anew(content: bytes, counter: MachineCounter) -> None:
    counter.directory.mkdir(mode=0o700)
    (counter.directory / "windows").write_bytes(content)
    assert [counter.hit("a", 60)[0] for _ in range(3)] == [1, 2, 3]
    assert MachineCounter(counter.directory, counter.clock).hit("a", 60)[0] == 4


def test_a_file_that_is_cut_short_meanwhile_fails_once(counter: MachineCounter) -> None:
    counter.hit("a", 60)
    os.truncate(counter.directory / "windows", 100)
    with pytest.raises(OSError, match="cut short"):
        counter.hit("a", 60)
    assert [counter.hit("a", 60)[0] for _ in range(3)] == [1, 2, 3]


def test_an_account_takes_a_page_at_most(counter: MachineCounter) -> None:
    for number in range(20):
        counter.hit(str(number), 60)
    assert (counter.directory / "windows").stat().st_blocks * 512 <= 21 * 4096


def count_in_turn(directory: Path, names: list[str], times: int) -> None:
    counter = MachineCounter(directory, Clock())

    def count() -> None:
        for _ in range(times):
            for name in names:
                counter.hit(name, 3600)

    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.usefixtures("few_slots")
def test_processes_that_start_at_once_count_exactly_in_full_buckets(tmp_path: Path, names: list[str]) -> None:
    directory, fork = tmp_path / "counts", multiprocessing.get_context("fork")
    processes = [fork.Process(target=count_in_turn, args=(directory, names[:9], 100)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    counter = MachineCounter(directory, Clock())
    counts = Counter({name: counter.hit(name, 3600)[0] for name in names[:9]})
    assert set(counts.values()) == {4 * 2 * 100 + 1}
