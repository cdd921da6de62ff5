"""The benchmark of writes, whole but tiny: that it runs and says all it should, nothing of how fast anything is."""

import json
import tempfile
from pathlib import Path

import pytest

from bench.report import markdown
from bench.writes import Plan, writes


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_all_that_storing_costs_is_measured(kind: str) -> None:
    plan = Plan(items=400, disk_items=400, purged=3000, requests=1000, rounds=1, seconds=1, databases=kind)
    # Not below pytest's folder: PostgreSQL runs as another user than root, and may not enter there.
    with tempfile.TemporaryDirectory(prefix="notifhist-bench-") as cache:
        results = json.loads(json.dumps(writes(plan, Path(cache))))
        assert list(Path(cache).glob("bench-*")) == []
    (table,) = results["tables"]
    figures = {name: (value, wanted, verdict) for name, value, wanted, verdict in table["rows"]}
    assert len(figures) == len(table["rows"]) > 20
    for name, (value, wanted, verdict) in figures.items():
        assert value["unit"] in ("times", "items/s", "MB", "ms")
        assert value["median"] > 0 or value["unit"] in ("ms", "times"), name
        assert bool(wanted) == bool(verdict)
        assert f"| {name} |" in markdown(results)
    assert figures["disk for items of 2000 bytes, beside their JSON"][0]["median"] > 1
    assert 0 < figures["disk after the purge, beside before"][0]["median"] < 1
