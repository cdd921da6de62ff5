"""The published clients are tested by the pytest plugin, as their own projects would: no other process serves them."""

import json
from pathlib import Path

from notifhist.testing import Notifhist
from tests.clients import test_cortex, test_rackspace
from tests.http.helpers import CHECK, RUNS


def test_the_python_client_finds_the_items_of_a_test(notifhist: Notifhist) -> None:
    count = 2 * test_rackspace.PAGE + 1
    items = [notifhist.item("enOne", "alOne", "chOne", status=f"Prüfung {n} <&>") for n in range(count)]
    found = test_rackspace.ask(notifhist, notifhist.key("monitoring:observer"), notifhist.tenant)
    assert found["checks"] == {"check_ids": ["chOne"]}
    assert json.dumps(found["items"]) == json.dumps(items)
    assert found["reverse"] == items[::-1]
    pages = [each.query for each in notifhist.requests if each.path == CHECK]
    assert ["marker=" in query for query in pages] == 2 * [False, True, True]


def test_the_command_line_client_finds_the_runs_of_a_test(notifhist: Notifhist, tmp_path: Path) -> None:
    runs = [notifhist.run(summary=f"run {n}") for n in range(test_cortex.PAGE + 1)]
    code, output = test_cortex.fetch(notifhist, notifhist.key("notification-logs:view"), tmp_path)
    assert code == 0, output
    assert json.loads(output)["runs"] == runs[::-1]
    assert [each.path for each in notifhist.requests] == [RUNS] * 2


def test_the_command_line_client_gets_over_a_refusal(notifhist: Notifhist, tmp_path: Path) -> None:
    run = notifhist.run()
    notifhist.fail(status=429, retry_after=0)
    code, output = test_cortex.fetch(notifhist, notifhist.key(), tmp_path)
    assert code == 0, output
    assert json.loads(output)["runs"] == [run]
    assert len(notifhist.requests) == 2
