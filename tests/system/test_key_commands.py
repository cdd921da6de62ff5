"""The commands for keys, as people type them."""

import re

import pytest

from notifhist.store.keys import list_keys
from tests.conftest import NOW_MS, TENANT, authorized
from tests.http.helpers import ALARM, RUNS
from tests.system.commands import application, run
from tests.system.service import opened

DAY_MS = 86_400_000
CREATE = ("keys", "create", "--tenant", TENANT, "--role", "monitoring:observer")


def test_a_created_key_is_printed_alone_and_only_its_hash_is_kept(database_url: str) -> None:
    created = run(database_url, *CREATE, "--role", "notification-logs:view", "--name", "reader")
    assert re.fullmatch(r"nh_[0-9a-f]{12}_[A-Za-z0-9_-]{43}\n", created.stdout)
    assert created.stderr == ""
    key = created.stdout.strip()
    with opened(database_url) as db:
        (stored,) = list_keys(db)
    assert key.split("_", 2)[2] not in repr(stored)
    assert (stored.name, stored.tenant) == ("reader", TENANT)
    assert stored.roles == ("monitoring:observer", "notification-logs:view")
    assert stored.created == NOW_MS
    assert stored.expires is None
    with application(database_url) as app:
        client = authorized(app, key)
        assert client.get(ALARM).status_code == 200
        assert client.get(RUNS).status_code == 200
        assert client.post(f"{ALARM}/chOne", json={}).status_code == 403


def test_the_list_of_keys_shows_everything_but_the_keys(database_url: str) -> None:
    keys = [run(database_url, *CREATE, "--name", name).stdout for name in ("[one]", ":warning:")]
    run(database_url, "keys", "revoke", ":warning:")
    listed = run(database_url, "keys", "list").stdout
    head, *lines = listed.splitlines()
    assert head.split() == ["ID", "NAME", "TENANT", "ROLES", "CREATED", "EXPIRES", "REVOKED"]
    now = "2011-11-10T01:00:00.000Z"
    rows = [
        [key.split("_")[1], name, TENANT, "monitoring:observer", now, "-", revoked]
        for key, name, revoked in zip(keys, ("[one]", ":warning:"), ("-", now), strict=True)
    ]
    assert sorted(line.split() for line in lines) == sorted(rows)
    assert not any(key.split("_", 2)[2].strip() in listed for key in keys)


def test_a_key_is_revoked_at_once_by_name_or_id(database_url: str) -> None:
    keys = [run(database_url, *CREATE, "--name", name).stdout.strip() for name in ("one", "two", "two")]
    with application(database_url) as app:

        def statuses() -> list[int]:
            return [authorized(app, key).get(ALARM).status_code for key in keys]

        assert statuses() == [200, 200, 200]
        assert run(database_url, "keys", "revoke", keys[0].split("_")[1]).stdout == "Revoked: 1\n"
        assert statuses() == [401, 200, 200]
        refused = run(database_url, "keys", "revoke", "two", code=1).stderr
        assert all(key.split("_")[1] in refused for key in keys[1:])
        assert statuses() == [401, 200, 200]
        assert run(database_url, "keys", "revoke", "two", "--all").stdout == "Revoked: 2\n"
        assert statuses() == [401, 401, 401]
    again = run(database_url, "keys", "revoke", "two", code=1)
    assert "'two'" in again.stderr
    assert "notifhist keys list" in again.stderr


def test_who_rotates_a_key_is_told_which_one_is_the_former(sqlite_database: str) -> None:
    def create() -> tuple[str, str]:
        made = run(sqlite_database, *CREATE, "--name", "collector")
        return made.stdout.split("_")[1], made.stderr

    former, said = create()
    assert said == ""
    newer, said = create()
    assert f"'collector' is in use already, by {former};" in said
    assert newer not in said
    run(sqlite_database, "keys", "revoke", former)
    assert create()[1].count(newer) == 1  # a revoked key is no namesake
    with opened(sqlite_database) as db:
        assert [key.id for key in list_keys(db) if key.revoked] == [former]


@pytest.mark.parametrize(
    ("expires", "expected_ms"),
    [
        ("30d", NOW_MS + 30 * DAY_MS),
        ("12h", NOW_MS + DAY_MS // 2),
        ("90m", NOW_MS + 5_400_000),
        ("1s", NOW_MS + 1000),
        ("2011-11-10T02:00:00Z", NOW_MS + 3_600_000),
        ("2011-11-10T02:00:00", NOW_MS + 3_600_000),
        ("2011-11-10T02:00:00+01:00", None),
        ("2011-11-11", NOW_MS + 23 * 3_600_000),
    ],
)
def test_a_key_expires_at_a_date_or_after_a_span(sqlite_database: str, expires: str, expected_ms: int | None) -> None:
    if expected_ms is None:  # with its zone, it is now
        assert "That is past" in run(sqlite_database, *CREATE, "--expires", expires, code=2).stderr
        return
    run(sqlite_database, *CREATE, "--expires", expires)
    with opened(sqlite_database) as db:
        assert [key.expires for key in list_keys(db)] == [expected_ms]


def test_an_expired_key_stops_working_at_once(database_url: str) -> None:
    key = run(database_url, *CREATE, "--expires", "1s").stdout.strip()
    for ms, status in ((999, 200), (1000, 401)):
        with application(database_url, NOW=NOW_MS + ms) as app:
            assert authorized(app, key).get(ALARM).status_code == status
