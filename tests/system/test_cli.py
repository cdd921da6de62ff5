"""The commands as people type them: what they print, and what they say when things go wrong."""

import os
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import click
import pytest

from notifhist.auth import GRANTS
from notifhist.cli import main
from notifhist.config import SETTINGS
from tests.conftest import MIGRATIONS, TENANT, every_row
from tests.former_layout import FORMER_MIGRATIONS, make_former_layout
from tests.system.commands import application, finish, run, start
from tests.system.conftest import FragileDatabase
from tests.system.service import opened

MIGRATED = f"Applied: {', '.join(MIGRATIONS)}\n"
CREATE = ("keys", "create", "--tenant", TENANT, "--role", "monitoring:observer")


def test_migrate_creates_the_tables_once(fragile_database: FragileDatabase) -> None:
    url = fragile_database.url
    both = [finish(start(url, "migrate")) for _ in range(2)]
    assert [each.stdout for each in both] == [MIGRATED, "The tables are up to date.\n"]
    with application(url) as app:
        assert app.test_client().get("/readyz").status_code == 200


def test_two_hosts_may_migrate_at_once(fragile_database: FragileDatabase) -> None:
    both = [start(fragile_database.url, "migrate") for _ in range(2)]
    printed = sorted(finish(each).stdout for each in both)
    assert printed == [MIGRATED, "The tables are up to date.\n"]


def test_commands_that_only_look_make_no_database(tmp_path: Path) -> None:
    for command in (("keys", "list"), ("keys", "revoke", "x"), ("export",), ("purge",)):
        database = tmp_path / "mistyped.db"
        failed = run(f"sqlite:///{database}", *command, code=1)
        assert "unable to open database file" in failed.stderr
        assert not database.exists()


@pytest.mark.parametrize("command", [("migrate",), CREATE])
def test_a_new_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path, command: tuple[str, ...]) -> None:
    path = tmp_path / "new.db"
    umask = os.umask(0o002)
    try:
        run(f"sqlite:///{path}", *command)
        assert path.stat().st_mode & 0o777 == 0o600
        assert os.umask(0o002) == 0o002
        path.chmod(0o660)
        run(f"sqlite:///{path}", *command)
        assert path.stat().st_mode & 0o777 == 0o660
    finally:
        os.umask(umask)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param((*CREATE[:5], "reader"), [*GRANTS, "'reader'"], id="role"),
        pytest.param(CREATE[:4], ["--role", *GRANTS], id="no-role"),
        pytest.param(("keys", "create", *CREATE[4:]), ["--tenant"], id="no-tenant"),
        *(
            pytest.param(
                ("keys", "create", "--tenant", tenant, *CREATE[4:]), ["--tenant", "1 to 255"], id=f"tenant-{name}"
            )
            for name, tenant in (("empty", ""), ("slash", "a/b"), ("long", "a" * 256), ("control", "a\nb"))
        ),
        *(
            pytest.param((*CREATE, "--expires", expires), ["--expires", said], id=f"expires-{expires}")
            for expires, said in (
                ("soon", "a span such as 30d"),
                ("30", "past"),
                ("0d", "past"),
                ("2011-11-10", "past"),
                ("12345678901d", "a span such as 30d"),
            )
        ),
        pytest.param(("keys", "revoke"), ["NAME_OR_ID"], id="revoke-nothing"),
        pytest.param(("load",), ["PATHS"], id="load-nothing"),
        pytest.param(("load", "no-such-file.json"), ["no-such-file.json", "does not exist"], id="load-missing"),
        pytest.param(("load", "--check", "c", "."), ["--tenant"], id="load-check-alone"),
        pytest.param(
            ("load", "--tenant", "t", "--check", "c", "."),
            ["--tenant, --entity, --alarm and --check"],
            id="load-half-a-place",
        ),
        pytest.param(("load", "--of", "logs", "."), ["--of need --tenant"], id="load-of-nobody"),
        pytest.param(("load", "--tenant", "t", "--of", "items", "."), ["--of", "runs", "logs"], id="load-of-items"),
        pytest.param(
            ("load", "--tenant", "t", "--entity", "e", "--alarm", "a", "--check", "c", "--of", "logs", "."),
            ["--of is of runs and logs"],
            id="load-of-a-check",
        ),
        pytest.param(("load", "--tenant", "a/b", "."), ["tenant", "1 to 255"], id="load-bad-place"),
        pytest.param(("purge", "--batch", "0"), ["--batch", "1<=x"], id="purge-batch"),
        pytest.param(("serve", "--workers", "none"), ["--workers", "integer"], id="serve-workers"),
        pytest.param(("serve", "--bind", "127.0.0.1:99999"), ["--bind", "up to 65535"], id="serve-no-port"),
        pytest.param(("serve", "--bind", "127.0.0.1:\N{SUPERSCRIPT TWO}"), ["--bind"], id="serve-no-digit"),
        pytest.param(("fetch",), ["No such command 'fetch'"], id="command"),
    ],
)
def test_wrong_usage_is_explained_with_exit_code_2(
    sqlite_database: str, arguments: tuple[str, ...], said: list[str]
) -> None:
    wrong = run(sqlite_database, *arguments, code=2)
    assert wrong.stdout == ""
    explanation = re.sub(r"\s+", " ", wrong.stderr)
    assert all(each in explanation for each in said), wrong.stderr


HELP: dict[tuple[str, ...], list[str]] = {
    (): [
        "serve",
        "migrate",
        "keys",
        "load",
        "export",
        "purge",
        "doctor",
        "backup",
        "--version",
        "notifhist serve --demo",
    ],
    ("serve",): ["--bind HOST:PORT", "--workers", "--threads", "--demo", "--load", "Examples: notifhist serve"],
    ("migrate",): ["NOTIFHIST_DATABASE_URL", "Safe to repeat"],
    ("keys",): ["create", "list", "revoke"],
    ("keys", "create"): ["--tenant", "--role", "--name", "--expires", *GRANTS, "30d", "Example: notifhist keys"],
    ("keys", "list"): ["but the keys themselves"],
    ("keys", "revoke"): ["NAME_OR_ID", "--all", "notifhist keys list"],
    ("load",): [
        "--tenant",
        "--entity",
        "--alarm",
        "--check",
        "--of",
        "--skip-bad",
        "Examples: notifhist load fixtures",
    ],
    ("export",): ["--output", "Example: notifhist export > history.ndjson", "notifhist load"],
    ("login-link",): ["--key-id", "--address", "default: 127.0.0.1:8000", "10 minutes", "give --address, unless"],
    ("purge",): ["--batch", "default: 500", "Once a day"],
}


@pytest.mark.parametrize("command", HELP, ids=" ".join)
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    explained = run("no database is asked for", *command, "--help").stdout
    text = re.sub(r"\s+", " ", explained)
    assert text.startswith(f"Usage: notifhist {' '.join(command)}".rstrip())
    assert all(said in text for said in HELP[command]), explained
    options = re.split(r"\n  (?=-)", explained.partition("Options:")[2].partition("\n\n")[0])[1:]
    for option in options:
        assert re.search(r"(?s) {2,}[A-Z].*\w", option), f"no explanation: {option}"


def test_lists_of_commands_say_the_beginning_of_what_each_says_of_itself() -> None:
    context = click.Context(main, info_name="notifhist")
    listed = {item.value: (item.help or "").rstrip(".") for item in main.shell_complete(context, "")}
    assert list(listed) == main.list_commands(context) == sorted(listed)
    for name, said in listed.items():
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert (command.help or "").startswith(said)
        assert not command.hidden


def test_the_help_lists_every_setting_with_its_default() -> None:
    lines = run("", "--help").stdout.splitlines()
    for setting in SETTINGS:
        number = lines.index(f"    NOTIFHIST_{setting.name}={setting.default}")
        assert lines[number + 1].strip() == setting.help


BAD_SETTINGS = {
    "DATABASE_URL": "mysql://localhost/x",
    "REPLICA_URL": "sqlite:///copy.db",
    "STATEMENT_TIMEOUT_S": "-1",
    "NOW": "yesterday",
    "RETENTION_DAYS": "abc",
    "QUERY_WINDOW_DAYS": "0",
    "DEFAULT_LIMIT": "1001",
    "HISTORY_RATE_LIMIT": "many",
    "RUNS_RATE_LIMIT": "1000",
    "FEED_RATE_LIMIT": "off",
    "FEED_DEDUP_S": "a minute",
    "PAGES": "yes",
    "PAGES_RATE_LIMIT": "600",
    "PAGES_USER_HEADER": "X User",
    "PAGES_USER_KEY_ID": "x",
    "RATE_LIMIT_STORAGE": "disk",
    "TRUSTED_PROXIES": "-1",
    "MAX_WAIT_MS": "-1",
    "PUBLIC_URL": "history.example.com",
    "ALLOWED_HOSTS": "a b",
    "CORS_ORIGINS": "*",
}


def test_a_file_that_cannot_be_written_is_one_clear_line(sqlite_database: str) -> None:
    failed = run(sqlite_database, "export", "--output", "/no/such/folder/history.ndjson", code=1)
    (line,) = failed.stderr.splitlines()
    assert line == "Error: Could not open file '/no/such/folder/history.ndjson': No such file or directory"


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS])
def test_a_bad_setting_is_named_in_one_line(sqlite_database: str, name: str) -> None:
    settings = {"DATABASE_URL": sqlite_database, name: BAD_SETTINGS[name]}
    wrong = run(settings.pop("DATABASE_URL"), "purge", code=1, **settings)
    (line,) = wrong.stderr.splitlines()
    assert line.startswith(f"Error: NOTIFHIST_{name}='{BAD_SETTINGS[name]}': ")
    assert wrong.stdout == ""


def assert_it_says_that_the_database_fails(url: str, *command: str, why: str, shown: str | None = None) -> None:
    failed = run(url, *command, code=1)
    (line,) = failed.stderr.splitlines()
    assert line.startswith(f"Error: The database {shown or url} failed: ")
    assert why in line
    assert failed.stdout == ""


@pytest.mark.parametrize(
    "command",
    [("migrate",), ("keys", "list"), CREATE, ("load", "."), ("export",), ("purge",), ("serve",)],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_database_in_a_missing_folder_is_one_clear_line(tmp_path: Path, command: tuple[str, ...]) -> None:
    url = f"sqlite:///{tmp_path}/missing/notifhist.db"
    assert_it_says_that_the_database_fails(url, *command, why="unable to open database file")


@pytest.mark.parametrize(
    "command",
    [
        *(("migrate",), ("serve",), ("load", "."), CREATE, ("keys", "list"), ("keys", "revoke", "one")),
        *(("export",), ("purge",)),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_database_of_the_former_layout_is_one_clear_line_and_stays_as_it_is(
    fragile_database: FragileDatabase, command: tuple[str, ...]
) -> None:
    with opened(fragile_database.url, create=True) as db:
        make_former_layout(db, *FORMER_MIGRATIONS)
        before = every_row(db)
    refused = run(fragile_database.url, *command, code=1)
    (line,) = refused.stderr.splitlines()
    assert line.startswith("Error: This database was made by another version, ")
    assert "`notifhist export > history.ndjson`" in line
    assert refused.stdout == ""
    with opened(fragile_database.url) as db:
        assert every_row(db) == before


def test_a_file_that_is_no_database_is_one_clear_line_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Not a database at all. " * 100)
    assert_it_says_that_the_database_fails(f"sqlite:///{path}", "keys", "list", why="file is not a database")
    assert path.read_text() == "Not a database at all. " * 100


@pytest.mark.parametrize("form", ["postgresql://me:secret@127.0.0.1:1/x", "postgresql://127.0.0.1:1/x?password=secret"])
def test_a_server_that_does_not_listen_is_one_clear_line_without_the_password(form: str) -> None:
    shown = form.replace("secret", "***")
    assert_it_says_that_the_database_fails(form, "keys", "list", why="Connection refused", shown=shown)


def test_a_server_that_lacks_the_database_is_one_clear_line(postgres_url: str) -> None:
    url = postgres_url.replace("/postgres?", "/no_such_database?")
    assert_it_says_that_the_database_fails(url, "migrate", why='database "no_such_database" does not exist')


def test_a_database_that_another_has_locked_is_waited_for(sqlite_database: str) -> None:
    path = sqlite_database.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = start(sqlite_database, *CREATE)
        time.sleep(2)
        assert waiting.poll() is None
        other.execute("COMMIT")
    assert finish(waiting).stdout.startswith("nh_")
