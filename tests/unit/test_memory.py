import subprocess
import sys
from typing import Any, Never

import pytest

from notifhist.server.memory import keep_memory

SAY = "from notifhist.server.memory import keep_memory; print(keep_memory())"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is Linux's")
def test_glibc_does_as_told() -> None:
    done = subprocess.run([sys.executable, "-c", SAY], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_another_libc_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        def __init__(self, *args: Any) -> None: ...

    monkeypatch.setattr("ctypes.CDLL", Other)
    assert not keep_memory()


def test_what_the_operator_sets_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    class Libc:
        def __init__(self, *args: Any) -> None: ...

        def mallopt(self, *args: int) -> Never:
            pytest.fail(f"mallopt{args} was called")

    monkeypatch.setattr("ctypes.CDLL", Libc)
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "1000000")
    keep_memory()
