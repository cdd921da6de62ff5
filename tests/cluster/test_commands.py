"""Every command takes an address of several hosts, wherever among them the primary is."""

import json
from pathlib import Path

from tests.cluster.nodes import Cluster
from tests.conftest import NOW_MS
from tests.http.helpers import item_at
from tests.system.commands import item_line, run, write_lines


def test_every_command_finds_the_primary_behind_its_standby(own_cluster: Cluster, tmp_path: Path) -> None:
    url = own_cluster.create_database([own_cluster.standby, own_cluster.primary])
    file = write_lines(tmp_path / "items.ndjson", [item_line(item_at(NOW_MS, n)) for n in range(3)])
    assert "0001_tables" in run(url, "migrate").output
    run(url, "keys", "create", "--tenant", "123456", "--role", "monitoring:creator", "--name", "collector")
    assert "collector" in run(url, "keys", "list").output
    run(url, "keys", "revoke", "collector")
    assert "Stored 3" in run(url, "load", file).output
    lines = [line for line in run(url, "export").output.splitlines() if line.startswith("{")]
    assert [json.loads(line)["item"]["id"] for line in lines] == [item_at(NOW_MS, n)["id"] for n in range(3)]
    run(url, "purge")
