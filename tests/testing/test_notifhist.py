"""The object that a test gets, used here as others use it: the plugin is loaded in this environment too."""

import http.client
import json
import re
from base64 import b64encode
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from notifhist.config import ConfigError
from notifhist.testing import Notifhist, Process
from notifhist.testing.files import Files
from notifhist.testing.instants import When, ms_of
from notifhist.testing.local import LocalServer

HISTORY = "/v1.0/123456/entities/en/alarms/al/notification_history/ch"
RUNS = "/api/v1/notifications/logs/run"
LOGS = "/api/v1/notifications/logs"
XML = "application/xml"
FAILED = pytest.fail.Exception
FIXTURES = Path(__file__).parents[2] / "fixtures"


def states(notifhist: Notifhist, query: str = "") -> list[str]:
    return [item["state"] for item in notifhist.get(HISTORY + query).json["values"]]


def test_a_reset_leaves_nothing(notifhist: Notifhist, notifhist_server: LocalServer) -> None:
    key = notifhist.key()
    notifhist.item()
    notifhist.fail(times=3)
    requests.get(notifhist.url, timeout=10)
    assert len(notifhist.requests) == 1
    again = notifhist_server.reset({}, None, Files(()))
    assert again.get(HISTORY).json["values"] == []
    assert again.requests == []
    assert again.get(HISTORY, key=key).status == 401
    assert len(list(notifhist_server._folder.glob("[0-9]*.db"))) == 1


def test_a_connection_stays_open_across_resets(notifhist: Notifhist, notifhist_server: LocalServer) -> None:
    with requests.Session() as session:
        for _ in range(3):
            assert session.get(f"{notifhist.url}/healthz", timeout=10).headers["Connection"] == "keep-alive"
            notifhist_server.reset({}, None, Files(()))
        pools = session.get_adapter(notifhist.url).poolmanager.pools  # type: ignore[attr-defined]
        assert [pools[key].num_connections for key in pools.keys()] == [1]  # noqa: SIM118 - it is no dict


def test_settings_in_the_environment_change_nothing(
    notifhist_server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFHIST_PUBLIC_URL", "no URL")
    monkeypatch.setenv("NOTIFHIST_DEFAULT_LIMIT", "7")
    assert notifhist_server.reset({}, None, Files(())).get(HISTORY).json["metadata"]["limit"] == 50


@pytest.mark.notifhist(settings={"DEFAULT_LIMIT": 3})
class TestMarkers:
    @pytest.mark.notifhist(now="2026-11-22T03:00:00Z", settings={"RETENTION_DAYS": 1})
    def test_the_nearest_wins_and_settings_are_merged(self, notifhist: Notifhist) -> None:
        assert notifhist.now_ms == ms_of("2026-11-22T03:00:00Z")
        assert notifhist.get(HISTORY).json["metadata"]["limit"] == 3
        notifhist.item()
        assert len(states(notifhist)) == 1
        notifhist.tick(days=1, milliseconds=1)
        assert len(states(notifhist)) == 0


@pytest.mark.parametrize(
    ("when", "ms"),
    [
        ("1970-01-02T00:00:00Z", 86_400_000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("86400000", 86_400_000),
        (5, 5),
        (date(1970, 1, 2), 86_400_000),
        (datetime(1970, 1, 2, tzinfo=UTC), 86_400_000),
        (datetime(1970, 1, 2), 86_400_000),  # noqa: DTZ001 - a test may write that, and it is UTC
    ],
)
def test_times_are_written_as_python_and_people_do(when: When, ms: int) -> None:
    assert ms_of(when) == ms


def test_one_clock_is_read_for_ids_windows_limits_and_keys(notifhist: Notifhist, notifhist_server: LocalServer) -> None:
    notifhist = notifhist_server.reset({"HISTORY_RATE_LIMIT": "4/hour"}, None, Files(()))
    notifhist.freeze(1_320_885_544_875)
    key = notifhist.key("monitoring:observer", expires=timedelta(minutes=90))
    assert [notifhist.item()["timestamp"] for _ in range(2)] == [1_320_885_544_875] * 2
    assert [notifhist.get(HISTORY, key=key).status for _ in range(5)] == [200] * 4 + [429]
    notifhist.tick(hours=1)
    assert len(notifhist.get(HISTORY, key=key).json["values"]) == 2
    notifhist.tick(minutes=30)
    assert notifhist.get(HISTORY, key=key).status == 401
    notifhist.tick(days=7)
    assert states(notifhist) == []
    assert len(states(notifhist, "?from=0")) == 2


def test_a_clock_that_runs_can_be_moved(notifhist: Notifhist) -> None:
    before = notifhist.now_ms
    notifhist.tick(days=1)
    assert 86_400_000 <= notifhist.now_ms - before < 2 * 86_400_000


def test_items_of_one_moment_keep_their_order(notifhist: Notifhist) -> None:
    notifhist.freeze("2026-11-22")
    for state in "ABCDEFGH":
        notifhist.item(state=state)
    assert "".join(states(notifhist)) == "ABCDEFGH"


def test_what_does_not_fit_fails_the_test(notifhist: Notifhist) -> None:
    with pytest.raises(FAILED, match=r"The item cannot be recorded.*state: "):
        notifhist.item(state=5)
    with pytest.raises(FAILED, match="entity_id: "):
        notifhist.item(entity="a/b")
    with pytest.raises(FAILED, match="medium: "):
        notifhist.run(medium="PIGEON")
    with pytest.raises(ValueError, match="There is no role admin"):
        notifhist.key("admin")


def test_trees_lines_and_single_files_are_loaded(notifhist: Notifhist, tmp_path: Path) -> None:
    published = FIXTURES / "published/123456"
    assert notifhist.load(published) == notifhist.load(published) > 3
    notifhist.load(published, tenant="other")
    path = "/entities/enOne/alarms/alOne/notification_history/chTwo?from=0"
    other = notifhist.get(path, key=notifhist.key(tenant="other")).json["values"]
    assert other == notifhist.get(path).json["values"] != []
    lines = tmp_path / "export.ndjson"
    line = {"tenant": "123456", "entity_id": "en", "alarm_id": "al", "check_id": "ch"}
    lines.write_text(json.dumps({**line, "item": {"timestamp": 1, "state": "OK", "notification_results": []}}))
    assert notifhist.load(lines) == 1
    runs = tmp_path / "runs.json"
    runs.write_text(json.dumps({"runs": [{**notifhist.run(), "id": 99}]}))
    assert notifhist.load(runs, tenant="123456") == 1
    with pytest.raises(FileNotFoundError, match="There is no no-such-tree; looked for"):
        notifhist.load("no-such-tree")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="There is no file of records"):
        notifhist.load(tmp_path / "empty")


def test_a_bad_record_is_named_by_file_and_line(notifhist: Notifhist, tmp_path: Path) -> None:
    path = tmp_path / "123456/entities/en/alarms/al/notification_history/ch.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"values": [\n{"timestamp": 1, "state": "OK", "notification_results": []},\n{"timestamp": 2}]}')
    with pytest.raises(FAILED, match=rf"^{re.escape(str(path))}:3: .*state: "):
        notifhist.load(tmp_path)
    assert states(notifhist, "?from=0") == []


@pytest.mark.parametrize(("path", "member"), [(HISTORY, "code"), (RUNS, "httpStatus")])
def test_faults_have_the_form_of_their_api(path: str, member: str, notifhist: Notifhist) -> None:
    notifhist.fail(times=2)
    notifhist.fail(status=404)
    unavailable = notifhist.get(path)
    assert (unavailable.status, unavailable.headers["retry-after"]) == (503, "5")
    assert str(unavailable.json[member]) == "503"
    assert notifhist.get(path, XML).xml.tag == ("fault" if path == HISTORY else "error")
    assert notifhist.get(path).status == 404
    assert notifhist.get(path).status == 200


def test_what_is_refused_by_a_fault_changes_nothing(notifhist: Notifhist) -> None:
    notifhist.fail(after=1, status=500)
    key = {"X-Auth-Token": notifhist.key()}
    item = {"state": "OK", "notification_results": []}
    answers = [requests.post(notifhist.url + HISTORY, json=item, headers=key, timeout=10) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 500, 201]
    assert len(states(notifhist)) == 2


@pytest.mark.parametrize("path", [HISTORY, "/deliveries?format=csv"])
def test_an_answer_is_cut_and_the_connection_closed(path: str, notifhist: Notifhist) -> None:
    notifhist.item()
    whole = notifhist.get(path)
    notifhist.fail(status=200, cut_after=20)
    with pytest.raises(http.client.IncompleteRead) as cut:
        notifhist.get(path)
    assert cut.value.partial == whole.body[:20]
    assert cut.value.expected == len(whole.body) - 20
    assert notifhist.get(path).body == whole.body


def test_requests_show_no_key(notifhist: Notifhist) -> None:
    key = notifhist.key()
    basic = "Basic " + b64encode(f"user:{key}".encode()).decode()
    url = f"{notifhist.url}{HISTORY}?marker={quote(key)}"
    for headers in (
        {"X-Auth-Token": key},
        {"Authorization": f"Bearer {key}"},
        {"Authorization": basic},
        {"Other": key},
    ):
        requests.get(url, headers=headers, timeout=10)
    shown = repr(notifhist.requests)
    assert key[-43:] not in shown
    assert basic[6:] not in shown
    assert [each.headers["authorization"] for each in notifhist.requests] == [None, "Bearer ***", "Basic ***", None]
    first = notifhist.requests[0]
    assert (first.method, first.path, first.headers["X-AUTH-TOKEN"]) == ("GET", HISTORY, "***")


def test_answers_are_compared_with_dicts_texts_and_files(notifhist: Notifhist, tmp_path: Path) -> None:
    first, second = notifhist.item(timestamp=1), notifhist.item(timestamp=2, state="CRITICAL")
    path = f"{HISTORY}?from=0&limit=1"
    page = notifhist.get(path).json
    assert page["metadata"]["next_href"].startswith(notifhist.url)
    for expected in (page, json.dumps(page), json.dumps(page).replace(notifhist.url, "{url}")):
        notifhist.assert_json(path, expected)
    notifhist.assert_xml(path, page)
    notifhist.assert_xml(path, notifhist.get(path, XML).body.decode())
    notifhist.assert_both(path)
    notifhist.assert_both(page["metadata"]["next_href"])
    file = tmp_path / "page.json"
    file.write_text(json.dumps({**page, "values": [second]}))
    with pytest.raises(AssertionError, match=rf'values\[0\].id: expected "{second["id"]}".* is {file}'):
        notifhist.assert_json(path, file)
    with pytest.raises(AssertionError, match="/container/values/alarm_notification_history_item/state: expected the"):
        notifhist.assert_xml(path, {**page, "values": [{**first, "state": "X"}]})
    with pytest.raises(AssertionError, match="answered 404"):
        notifhist.assert_both(f"{HISTORY}/none")
    notifhist._own_headers = {}
    with pytest.raises(AssertionError, match=r"answered 401\): values: expected"):
        notifhist.assert_json(path, page)


@pytest.mark.parametrize(
    "path", ["/entities", "/limits", LOGS, RUNS, "/deliveries", "/changelogs/alarms", "/deliveries/counts"]
)
def test_json_and_xml_say_the_same(path: str, notifhist: Notifhist) -> None:
    results = [
        {"notification_id": "nt", "notification_type": "email", "in_progress": False, "attempts": [{"from": "lon"}]}
    ]
    notifhist.item(state="<&>", notification_results=results)
    notifhist.run(notificationObjects=[{"id": 1, "name": "n", "type": "ENTITY"}])
    notifhist.log(recipientEmail="a@example.com")
    notifhist.assert_both(path)


def test_paths_and_links_may_have_any_characters(notifhist: Notifhist) -> None:
    notifhist.item(entity="en 東京", timestamp=1)
    path = "/entities/en 東京/alarms/al/notification_history/ch?from=0"
    assert len(notifhist.get(path).json["values"]) == 1
    assert len(notifhist.get(notifhist.url + path.replace(" ", "%20")).json["values"]) == 1


def test_bad_settings_are_told(notifhist_server: LocalServer) -> None:
    with pytest.raises(ConfigError, match="no such setting: NO_SUCH"):
        notifhist_server.reset({"NO_SUCH": 1}, None, Files(()))
    with pytest.raises(ConfigError, match="each test has a database of its own"):
        notifhist_server.reset({"DATABASE_URL": "sqlite:///mine.db"}, None, Files(()))
    with pytest.raises(ConfigError, match="NOTIFHIST_NOW"):
        notifhist_server.reset({"NOW": "noon"}, None, Files(()))
    assert notifhist_server.reset({"NOW": "5"}, None, Files(())).now_ms == 5
    assert len(list(notifhist_server._folder.glob("[0-9]*.db"))) == 1, "a refused setting leaves no database"
    with pytest.raises(ConfigError, match="NOTIFHIST_DEFAULT_LIMIT"):
        notifhist_server.reset({"DEFAULT_LIMIT": 0}, None, Files(()))


def test_the_process_is_the_real_service(notifhist_process: Process) -> None:
    answer = requests.get(notifhist_process.url + HISTORY, headers={"X-Auth-Token": notifhist_process.key}, timeout=10)
    assert answer.json()["values"] == []
    assert Path(f"/proc/{notifhist_process.pid}").exists()


def test_pages_fail_as_pages(notifhist: Notifhist) -> None:
    notifhist.fail()
    page = notifhist.get("/ui/", accept="text/html")
    assert (page.status, page.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    assert b"try again" in page.body


def test_both_paths_extra_members_ids_and_retention_are_as_the_document_tells(
    notifhist: Notifhist, notifhist_server: LocalServer
) -> None:
    notifhist = notifhist_server.reset({"RETENTION_DAYS": 30}, 1_320_885_544_875, Files(()))
    first, second = notifhist.item(colour="red"), notifhist.item()
    assert first["colour"] == "red"
    assert first["id"] != second["id"]
    fixed = "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26"
    assert notifhist.item(id=fixed)["id"] == fixed
    assert notifhist.get(HISTORY).json["values"] == notifhist.get(HISTORY.removeprefix("/v1.0/123456")).json["values"]
    assert len(states(notifhist, "?from=0")) == 3
    notifhist.tick(days=31)
    assert states(notifhist, "?from=0") == []
    with pytest.raises(TypeError):
        notifhist.tick(5)  # type: ignore[call-arg]
