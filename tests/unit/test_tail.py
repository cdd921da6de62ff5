"""Reading what is appended to a file: across rotation, restarts, and lines in any pieces."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifhist.transfer import tail as tails
from notifhist.transfer.tail import Place, Tail


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def drain(tail: Tail) -> tuple[list[str], Place | None]:
    """Return all lines that are there, and the last place."""
    lines: list[str] = []
    while found := tail.read():
        lines += [line.decode() for line in found.lines]
        assert found.place == tail.place()
    return lines, tail.place()


def lines_since(path: Path, place: Place | None = None) -> tuple[list[str], Place | None]:
    """Return what a new process reads."""
    tail = Tail(path, place)
    try:
        return drain(tail)
    finally:
        tail.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.[1].jsonl"


def test_a_line_is_read_when_it_is_complete(path: Path) -> None:
    tail = Tail(path, None)
    assert drain(tail) == ([], None)
    append(path, "a\n\nb\nc")
    assert drain(tail)[0] == ["a", "b"]
    append(path, "d\r\n")
    assert drain(tail)[0] == ["cd"]
    tail.close()


def test_another_process_goes_on_where_the_first_one_stopped(path: Path) -> None:
    append(path, "a\nb\n")
    lines, place = lines_since(path)
    assert lines == ["a", "b"]
    assert lines_since(path, place) == ([], place)
    append(path, "c\n")
    assert lines_since(path, place)[0] == ["c"]


def rename(path: Path, name: str) -> None:
    path.rename(path.with_name(f"{path.name}.{name}"))


def test_rotation_while_it_is_read(path: Path) -> None:
    append(path, "a\n")
    tail = Tail(path, None)
    assert drain(tail)[0] == ["a"]
    append(path, "b\nincomplete")
    rename(path, "1")
    assert drain(tail)[0] == ["b"]
    append(path, "c\n")
    assert drain(tail)[0] == ["incomplete", "c"]
    tail.close()


def test_rotations_while_nobody_read(path: Path) -> None:
    append(path, "a\n")
    _, place = lines_since(path)
    for n, line in enumerate("bcd"):
        append(path, f"{line}\n")
        os.utime(path, (n, n))
        rename(path, f"2026-11-2{n}")
    append(path, "e\n")
    append(path.with_name(f"{path.name}.old.gz"), "packed\n")
    assert lines_since(path, place)[0] == ["b", "c", "d", "e"]


def test_a_file_that_is_copied_and_cut(path: Path) -> None:
    append(path, "a\n")
    tail = Tail(path, None)
    _, place = drain(tail)
    append(path, "b\n")
    path.with_name(f"{path.name}.1").write_bytes(path.read_bytes())
    path.write_text("")
    assert drain(tail)[0] == []
    append(path, "c\n")
    assert drain(tail)[0] == ["c"]
    tail.close()
    assert lines_since(path, place)[0] == ["b", "c"]


def test_a_number_that_is_given_again_is_another_file(path: Path) -> None:
    append(path, "a\nb\n")
    _, place = lines_since(path)
    path.write_text("c\nd\ne\n")  # the same file to the system
    assert lines_since(path, place)[0] == ["c", "d", "e"]


def test_a_file_that_is_gone_ends_with_its_new_one(path: Path) -> None:
    append(path, "a\n")
    _, place = lines_since(path)
    path.unlink()
    assert lines_since(path, place) == ([], None)
    append(path, "b\n")
    assert lines_since(path, place)[0] == ["b"]


def test_a_line_that_is_too_long_is_left_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tails, "MAX_LINE_BYTES", 100)
    monkeypatch.setattr(tails, "_READ_BYTES", 16)
    append(path, f"a\n{'x' * 100}\n{'y' * 101}")
    tail = Tail(path, None)
    assert drain(tail)[0] == ["a", "x" * 100]
    append(path, "y\nb\n")
    found = tail.read()
    assert found is not None
    assert (found.lines, found.too_long) == ([], 1)
    assert drain(tail)[0] == ["b"]
    tail.close()


@given(st.lists(st.sampled_from(("append", "half", "rotate", "read", "restart")), max_size=40))
def test_whatever_happens_each_line_is_read_once(tmp_path_factory: pytest.TempPathFactory, steps: list[str]) -> None:
    path = tmp_path_factory.mktemp("log") / "events"
    written: list[str] = []
    read: list[str] = []
    place: Place | None = None
    path.touch()
    tail = Tail(path, place)
    for n, step in enumerate(["read", *steps, "read"]):
        if step in ("append", "half"):
            written.append(f"line {n}")
            append(path, f"line {n}\n" if step == "append" else f"line {n}")
            if step == "half":
                append(path, "\n")
        elif step == "rotate" and path.exists():
            os.utime(path, ns=(n * 10**9, n * 10**9))  # their order is that of their times
            rename(path, f"{n:04}")
        else:
            if step == "restart":
                tail.close()
                tail = Tail(path, place)
            lines, place = drain(tail)
            read += lines
    tail.close()
    assert read == written
