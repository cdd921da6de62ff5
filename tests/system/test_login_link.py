"""Links that sign in to the pages: made on the command line, used by a browser."""

import re

import pytest

from notifhist.auth import split_key
from tests.conftest import MakeKey
from tests.system.commands import application, run


def id_of(key: str) -> str:
    parts = split_key(key)
    assert parts is not None
    return parts[0]


def test_a_link_from_the_command_line_signs_in(database_url: str, key: str) -> None:
    printed = run(database_url, "login-link", "--key-id", id_of(key), "--address", "h:1").stdout
    link = re.fullmatch(r"http://h:1(/ui/login)\?once=([\w-]{43})\n", printed)
    assert link
    with application(database_url) as app:
        client = app.test_client()
        assert client.post(link[1], data={"once": link[2]}).status_code == 303
        assert client.get("/ui/").status_code == 200


def test_a_link_begins_with_the_public_url(database_url: str, key: str) -> None:
    printed = run(database_url, "login-link", "--key-id", id_of(key), PUBLIC_URL="https://a.example/b/").stdout
    assert printed.startswith("https://a.example/b/ui/login?once=")


@pytest.mark.parametrize("end", ["unknown", "revoked", "expired"])
def test_no_link_is_made_for_a_key_that_is_not_valid(database_url: str, make_key: MakeKey, end: str) -> None:
    ended = {"revoked": {"revoked": 1}, "expired": {"expires": 1}, "unknown": {}}
    key = make_key(**ended[end])
    key_id = "0123456789ab" if end == "unknown" else id_of(key)
    assert "No valid key" in run(database_url, "login-link", "--key-id", key_id, code=1).stderr


def test_without_pages_there_are_no_links(database_url: str, key: str) -> None:
    refused = run(database_url, "login-link", "--key-id", id_of(key), code=1, PAGES="off")
    assert "NOTIFHIST_PAGES is off" in refused.stderr
