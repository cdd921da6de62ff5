from pathlib import Path

import pytest

from notifhist.config import (
    PREFIX,
    SETTINGS,
    ConfigError,
    RateLimit,
    Settings,
    hide_password,
    load_settings,
    sqlite_file,
)

DEFAULTS = {
    "DATABASE_URL": "sqlite:///notifhist.db",
    "REPLICA_URL": "",
    "STATEMENT_TIMEOUT_S": 10,
    "NOW": None,
    "RETENTION_DAYS": 30,
    "QUERY_WINDOW_DAYS": 7,
    "DEFAULT_LIMIT": 50,
    "HISTORY_RATE_LIMIT": RateLimit(50_000, 86_400),
    "RUNS_RATE_LIMIT": RateLimit(1000, 60),
    "FEED_RATE_LIMIT": None,
    "FEED_DEDUP_S": 60,
    "PAGES": True,
    "PAGES_RATE_LIMIT": RateLimit(600, 60),
    "PAGES_USER_HEADER": "",
    "PAGES_USER_KEY_ID": "",
    "RATE_LIMIT_STORAGE": "memory://",
    "TRUSTED_PROXIES": 0,
    "MAX_WAIT_MS": 200,
    "PUBLIC_URL": "",
    "ALLOWED_HOSTS": frozenset(),
    "CORS_ORIGINS": frozenset(),
}

GOOD = [
    ("DATABASE_URL", "sqlite:////srv/a b.db", "sqlite:////srv/a b.db"),
    ("DATABASE_URL", "postgresql://u:p@h:1/d", "postgresql://u:p@h:1/d"),
    ("DATABASE_URL", "postgres://h/d", "postgres://h/d"),
    ("REPLICA_URL", "postgresql://h1,h2/d?load_balance_hosts=random", "postgresql://h1,h2/d?load_balance_hosts=random"),
    ("STATEMENT_TIMEOUT_S", "0", 0),
    ("STATEMENT_TIMEOUT_S", "3600", 3600),
    ("NOW", "2011-11-10T01:00:00Z", 1_320_886_800_000),
    ("NOW", "1320886800000", 1_320_886_800_000),
    ("NOW", "0", 0),
    ("NOW", " ", None),
    ("RETENTION_DAYS", "0", 0),
    ("RETENTION_DAYS", " 36500 ", 36_500),
    ("QUERY_WINDOW_DAYS", "1", 1),
    ("DEFAULT_LIMIT", "1000", 1000),
    ("HISTORY_RATE_LIMIT", "5/hour", RateLimit(5, 3600)),
    ("HISTORY_RATE_LIMIT", "10 per 2 minutes", RateLimit(10, 120)),
    ("HISTORY_RATE_LIMIT", "", None),
    ("RUNS_RATE_LIMIT", "5/second", RateLimit(5, 1)),
    ("RUNS_RATE_LIMIT", "", None),
    ("FEED_RATE_LIMIT", "1000/minute", RateLimit(1000, 60)),
    ("FEED_DEDUP_S", "0", 0),
    ("PAGES", "off", False),
    ("PAGES", "ON", True),
    ("PAGES_RATE_LIMIT", "", None),
    ("PAGES_USER_HEADER", "X-Forwarded-User", "X-Forwarded-User"),
    ("PAGES_USER_KEY_ID", "0123456789ab", "0123456789ab"),
    ("RATE_LIMIT_STORAGE", "redis://h:1/0", "redis://h:1/0"),
    ("RATE_LIMIT_STORAGE", "rediss://h", "rediss://h"),
    ("TRUSTED_PROXIES", "100", 100),
    ("MAX_WAIT_MS", "0", 0),
    ("PUBLIC_URL", "https://history.example.com", "https://history.example.com"),
    ("PUBLIC_URL", "http://h:8080/monitoring/v2/", "http://h:8080/monitoring/v2"),
    ("PUBLIC_URL", " ", ""),
    ("ALLOWED_HOSTS", "A.example.com, 127.0.0.1:8000,[::1],", {"a.example.com", "127.0.0.1:8000", "[::1]"}),
    ("ALLOWED_HOSTS", "", frozenset()),
    ("CORS_ORIGINS", "https://A.example.com , http://b:8080", {"https://a.example.com", "http://b:8080"}),
    ("CORS_ORIGINS", "capacitor://localhost", {"capacitor://localhost"}),
]

BAD = [
    ("DATABASE_URL", ""),
    ("DATABASE_URL", "notifhist.db"),
    ("DATABASE_URL", "mysql://h/d"),
    ("DATABASE_URL", "sqlite:///"),
    ("DATABASE_URL", "sqlite:///:memory:"),
    ("DATABASE_URL", "sqlite://notifhist.db"),
    ("REPLICA_URL", "sqlite:///copy.db"),
    ("REPLICA_URL", "replica"),
    ("STATEMENT_TIMEOUT_S", "-1"),
    ("STATEMENT_TIMEOUT_S", "3601"),
    ("STATEMENT_TIMEOUT_S", "10s"),
    ("NOW", "yesterday"),
    ("NOW", "2011-11-31"),
    ("NOW", "999999999999999999"),
    ("RETENTION_DAYS", ""),
    ("RETENTION_DAYS", "-1"),
    ("RETENTION_DAYS", "36501"),
    ("RETENTION_DAYS", "30d"),
    ("RETENTION_DAYS", "1.5"),
    ("RETENTION_DAYS", "٣٠"),
    ("RETENTION_DAYS", "9" * 5000),
    ("QUERY_WINDOW_DAYS", "0"),
    ("QUERY_WINDOW_DAYS", "36501"),
    ("DEFAULT_LIMIT", "0"),
    ("DEFAULT_LIMIT", "1001"),
    ("HISTORY_RATE_LIMIT", "many"),
    ("HISTORY_RATE_LIMIT", "50000"),
    ("HISTORY_RATE_LIMIT", "5/fortnight"),
    ("RUNS_RATE_LIMIT", "off"),
    ("FEED_RATE_LIMIT", "off"),
    ("FEED_DEDUP_S", "-1"),
    ("FEED_DEDUP_S", "86401"),
    ("PAGES", "yes"),
    ("PAGES_RATE_LIMIT", "600"),
    ("PAGES_USER_HEADER", "X User"),
    ("PAGES_USER_KEY_ID", "nh_0123456789ab"),
    ("RATE_LIMIT_STORAGE", ""),
    ("RATE_LIMIT_STORAGE", "memory"),
    ("RATE_LIMIT_STORAGE", "memcached://h"),
    ("TRUSTED_PROXIES", "-1"),
    ("TRUSTED_PROXIES", "101"),
    ("TRUSTED_PROXIES", "*"),
    ("MAX_WAIT_MS", "-1"),
    ("MAX_WAIT_MS", "1 s"),
    ("PUBLIC_URL", "history.example.com"),
    ("PUBLIC_URL", "ftp://history.example.com"),
    ("PUBLIC_URL", "https://history.example.com/?a=b"),
    ("ALLOWED_HOSTS", "https://a.example.com"),
    ("ALLOWED_HOSTS", "a.example.com b.example.com"),
    ("ALLOWED_HOSTS", "*"),
    ("CORS_ORIGINS", "*"),
    ("CORS_ORIGINS", "a.example.com"),
    ("CORS_ORIGINS", "https://a.example.com/"),
    ("CORS_ORIGINS", "https://a.example.com https://b.example.com"),
]


def value(settings: Settings, name: str) -> object:
    return getattr(settings, name.lower())


def test_the_table_has_each_setting_of_the_contract() -> None:
    assert [setting.name for setting in SETTINGS] == list(DEFAULTS)
    assert all(setting.help for setting in SETTINGS)


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_setting_has_its_default(name: str) -> None:
    assert value(load_settings({}), name) == DEFAULTS[name]


@pytest.mark.parametrize(("name", "text", "expected"), GOOD)
def test_a_setting_is_read_from_the_environment(name: str, text: str, expected: object) -> None:
    assert value(load_settings({PREFIX + name: text}), name) == expected


@pytest.mark.parametrize(("name", "text", "expected"), GOOD)
def test_an_override_comes_before_the_environment(name: str, text: str, expected: object) -> None:
    assert value(load_settings({PREFIX + name: "?"}, {name: text}), name) == expected


@pytest.mark.parametrize(("name", "text"), BAD)
def test_a_bad_value_is_named_with_its_setting(name: str, text: str) -> None:
    for environ, overrides in (({PREFIX + name: text}, {}), ({}, {name: text})):
        with pytest.raises(ConfigError) as raised:
            load_settings(environ, overrides)
        message = str(raised.value)
        assert message.startswith(f"{PREFIX}{name}={text!r}: ")
        assert message.partition(": ")[2]


def test_every_setting_has_a_bad_value_here() -> None:
    assert {name for name, _ in BAD} == set(DEFAULTS)
    assert {name for name, _, _ in GOOD} == set(DEFAULTS)


def test_an_override_may_be_a_number() -> None:
    assert load_settings({}, {"DEFAULT_LIMIT": 3}).default_limit == 3


@pytest.mark.parametrize("name", ["DEFAULT_LIMITS", "default_limit", "NOTIFHIST_DEFAULT_LIMIT", ""])
def test_an_override_that_is_no_setting_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=f"no such setting: {name}"):
        load_settings({}, {name: "1"})


def test_other_variables_are_left_alone() -> None:
    assert load_settings({"DEFAULT_LIMIT": "?", "NOTIFHIST_OTHER": "?", "NOTIFHIST_default_limit": "?"}) == (
        load_settings({})
    )


@pytest.mark.parametrize(("days", "ms"), [(0, None), (1, 86_400_000), (30, 2_592_000_000)])
def test_retention_is_told_in_milliseconds(days: int, ms: int | None) -> None:
    assert load_settings({}, {"RETENTION_DAYS": days}).retention_ms == ms


def test_the_window_is_told_in_milliseconds() -> None:
    assert load_settings({}).query_window_ms == 604_800_000


@pytest.mark.parametrize("url", ["postgresql://u:se@cret@h/x", "postgresql:/u:secret@h/x", "postgresql:u:secret@h/x"])
def test_no_password_of_a_url_is_shown_even_if_it_is_misspelt(url: str) -> None:
    assert hide_password(f"NOTIFHIST_DATABASE_URL={url!r}").count("***@h/x") == 1
    assert "cret" not in hide_password(url)


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:////var/a.db", Path("/var/a.db")),
        ("sqlite:///a.db", Path("a.db")),
        ("postgresql://h/x", None),
        ("postgres:///x", None),
    ],
)
def test_a_database_url_names_a_file_or_a_server(url: str, file: Path | None) -> None:
    assert sqlite_file(url) == file
