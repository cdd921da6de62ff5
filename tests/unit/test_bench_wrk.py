"""wrk's place is taken by a script that says what wrk would: `make test` must not need it."""

import os
from pathlib import Path

import pytest

from bench.load_generator import BadAnswer, Request, Server
from bench.wrk import Load, Wrk, own_cpus

GOOD = {"answers": 300, "duration": 2_000_000, "p50": 1500, "p99": 9000, "status": 0, "socket": 0}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def load(path: Path, code: int = 0, **found: int) -> Load:
    said = str(GOOD | found).replace("'", '"')
    script = path / "wrk"
    script.write_text(f"#!/bin/sh\necho \"$@\" > {path}/asked\necho Running\necho '{said}'\nexit {code}\n")
    script.chmod(0o755)
    return Wrk(path, 2).measure([Request(b"GET /1"), Request(b"GET /2")], Server("bare", 8000, os.getpid()))


def test_a_window_is_what_wrk_says_in_seconds_and_milliseconds(path: Path) -> None:
    found = load(path)
    assert found[:4] == (300, 2.0, 1.5, 9.0)
    assert 0 <= found.client_cpu < 1
    asked = (path / "asked").read_text()
    assert asked.startswith("-t1 -c8 -d2s ")
    assert asked.endswith(f"http://127.0.0.1:8000 -- {path}/requests\n")
    assert (path / "requests").read_bytes() == b"6\nGET /16\nGET /2"


@pytest.mark.parametrize("found", [{"status": 1}, {"socket": 1}, {"answers": 0}])
def test_an_error_or_no_answer_at_all_ends_it(path: Path, found: dict[str, int]) -> None:
    with pytest.raises(BadAnswer, match="bare, b'GET /1' and others"):
        load(path, **found)


def test_what_wrk_complains_of_is_told(path: Path) -> None:
    with pytest.raises(BadAnswer, match="Running"):
        load(path, code=1)


def test_servers_and_wrk_have_a_cpu_each_where_there_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {5, 2, 3})
    assert own_cpus() == (("taskset", "-c", "2"), ("taskset", "-c", "5"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {2})
    assert own_cpus() == ((), ())
