"""A user can delay root's sending for all the others by so much, and no more."""

import os
import signal
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from notifhist.run import users
from notifhist.run.flushing import Flush
from notifhist.run.sending import Answer, Sender
from notifhist.run.spool import Spool, spool_record


class Stops(Sender):
    """Stands for the service; its process is stopped as if by its user."""

    def __init__(self) -> None:
        """Read no key."""

    def send(self, record: Mapping[str, Any]) -> Answer:
        os.kill(os.getpid(), signal.SIGSTOP)
        return Answer(200, "")

    def close(self) -> None:
        """Close nothing."""


class Adds(Stops):
    """Stands for the service; a record comes whenever one is sent."""

    def __init__(self, base: Path) -> None:
        self.base, self.sent = base, 0

    def send(self, record: Mapping[str, Any]) -> Answer:
        self.sent += 1
        assert self.sent < 10_000
        put(self.base, self.sent)
        return Answer(200, "")


def put(base: Path, number: int) -> None:
    item = {"id": f"{number:08x}-0000-1000-8000-000000000001"}
    spool_record(str(base), {"tenant": "t", "entity_id": "e", "alarm_id": "a", "check_id": "c", "item": item})


def children() -> set[str]:
    """Return the pids of this process's children: those of other tests too, such as multiprocessing's."""
    return set(Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split())


def test_a_user_who_stops_the_process_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may act for others")
    monkeypatch.setattr(users, "_PATIENCE_S", 0.2)
    before = children()

    def stop(spool: Spool) -> tuple[Any, ...]:
        Stops().send({})
        return ()

    with tempfile.TemporaryDirectory(prefix="notifhist-spool-") as name:  # another user may not enter pytest's folders
        os.chown(name, 12345, 12345)
        with pytest.raises(OSError, match="cannot be read as its user"):
            users._as_user(users.Folder(name, 12345, 12345), stop)
    assert children() == before  # none is left


def test_a_user_who_adds_records_all_the_time_is_left_after_a_while(tmp_path: Path) -> None:
    put(tmp_path, 0)
    flush = Flush(Spool.open(str(tmp_path)), Adds(tmp_path))
    flush.run(at_most_s=0.1)
    assert flush.sent > 0
    assert "the next flush goes on" in flush.problem_text
