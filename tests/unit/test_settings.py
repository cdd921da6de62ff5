"""What a service does as it starts: it removes the directories of services that were killed."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from notifhist.server import settings


def test_services_that_start_at_once_remove_the_same_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "memory_place", lambda: tmp_path)
    killed = [tmp_path / f"notifhist-metrics-{2**22 + n}-x" for n in range(300)]  # no process has such a pid
    for directory in killed:
        directory.mkdir()
    with ThreadPoolExecutor(8) as pool:
        for started in [pool.submit(settings._remove_left_behind) for _ in range(8)]:
            started.result()
    assert list(tmp_path.iterdir()) == []
