"""The benchmark of storing, whole but tiny: that it runs and says all it should, nothing of how fast anything is."""

import json
import tempfile
from pathlib import Path

import pytest

from bench import report, store


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_all_that_storing_costs_is_measured(kind: str) -> None:
    plan = store.Plan(items=400, disk_items=400, purged=3000, requests=1000, rounds=1, seconds=0.2)
    # Not below pytest's folder: PostgreSQL runs as another user than root, and may not enter there.
    with tempfile.TemporaryDirectory(prefix="notifhist-bench-") as cache:
        results = json.loads(json.dumps(store.store(plan, [kind], Path(cache))))
        assert list(Path(cache).glob("store-*/*")) == []
    figures = {each["name"]: each for each in results["databases"][kind]}
    assert len(figures) == len(results["databases"][kind]) > 20
    for name, each in figures.items():
        assert each["unit"] in ("times", "items/s", "MB", "ms")
        assert each["value"] > 0 or each["unit"] in ("ms", "times"), name
        wanted = each["most"] is not None or each["least"] is not None
        assert (each["met"] is not None) == wanted
        assert f"| {name} |" in report.markdown(results)
    assert figures["disk for items of 2000 bytes, beside their JSON"]["value"] > 1
    assert 0 < figures["disk after the purge, beside before"]["value"] < 1
