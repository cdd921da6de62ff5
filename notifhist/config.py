"""The settings: one table of names, defaults and help texts, read once from `NOTIFHIST_*`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from notifhist.schemas.instants import parse_instant

PREFIX = "NOTIFHIST_"
_SQLITE = "sqlite:///"
MS_PER_DAY = 86_400_000
HOST = r"([A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?"
"""Pattern of a host as the header of that name has it: name or address, and perhaps a port."""
_PASSWORD = re.compile(r"(\w:/*[^:@\s]*:)\S+(?=@)|(password=)[^&\s]*")


class ConfigError(Exception):
    """A setting that cannot be used; the message names it and says which values are valid."""


class RateLimit(NamedTuple):
    """So many requests in a window, which has a length in seconds."""

    requests: int
    window_s: int


@dataclass(frozen=True)
class Setting:
    """One row of the table: its name without the prefix, default as text, parser and help."""

    name: str
    default: str
    parse: Callable[[str], Any]
    help: str


def _one_like(pattern: str, message: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(message)
        return text

    return parse


def _list_of(parse: Callable[[str], str]) -> Callable[[str], frozenset[str]]:
    """Return what parses several values with commas between them. They are compared without regard to case."""
    return lambda text: frozenset(parse(each.strip().lower()) for each in text.split(",") if each.strip())


def _public_url(text: str) -> str:
    url = text.rstrip("/")
    return url and _one_like(
        rf"https?://{HOST}(/[A-Za-z0-9._~%!$&'()*+,;=:@-]+)*", "give https://name/path, without a query, or nothing"
    )(url)


def _integer(minimum: int, maximum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not minimum <= int(text[:20]) <= maximum:
            raise ValueError(f"give an integer from {minimum} to {maximum}")
        return int(text)

    return parse


def sqlite_file(database_url: str) -> Path | None:
    """Return the SQLite file that a database's URL names; None if it names a server."""
    path = database_url.removeprefix(_SQLITE)
    return None if path == database_url else Path(path)


def _database_url(text: str) -> str:
    if text.startswith(("postgresql://", "postgres://")):
        if not _is_postgresql_url(text):
            raise ValueError("it is no valid URL; percent-encode what is special in the password")
        return text
    if text.startswith(_SQLITE) and text not in (_SQLITE, f"{_SQLITE}:memory:"):
        return text
    raise ValueError("give sqlite:///path/to/file.db or postgresql://user:password@host/name")


def _replica_url(text: str) -> str:
    if text and not (text.startswith(("postgresql://", "postgres://")) and _is_postgresql_url(text)):
        raise ValueError("give postgresql://user:password@host/name, or nothing for no replica")
    return text


def _is_postgresql_url(text: str) -> bool:
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
    except ImportError:
        return True  # opening it will say that the driver is missing
    try:
        conninfo_to_dict(text)
    except ProgrammingError:
        return False
    return True


def hide_password(text: str) -> str:
    """Return `text` without the passwords of the URLs in it."""
    return _PASSWORD.sub(lambda found: (found[1] or found[2]) + "***", text)


def _now(text: str) -> int | None:
    return parse_instant(text) if text else None


def parse_rate_limit(text: str) -> RateLimit | None:
    """Return the limit that a text such as 1000/minute names; None for no text. Raises ValueError for another."""
    if not text:
        return None
    from limits import parse_many  # 30 ms, since asyncio comes with it: contract tests have no limits, and start often

    try:
        (item,) = parse_many(text)
    except ValueError:
        raise ValueError("give a number and a span, such as 1000/minute, or nothing for no limit") from None
    return RateLimit(item.amount, item.get_expiry())


def _on_or_off(text: str) -> bool:
    if text.lower() not in ("on", "off"):
        raise ValueError("give on or off")
    return text.lower() == "on"


_header_name = _one_like("[A-Za-z][A-Za-z0-9-]{0,99}|", "give the name of a header, such as X-Forwarded-User")
_key_id = _one_like("[0-9a-f]{12}|", "give the id of a key; `notifhist keys list` shows them")


def _rate_limit_storage(text: str) -> str:
    if text == "memory://" or text.startswith(("redis://", "rediss://")):
        return text
    raise ValueError("give memory:// or redis://host:port/number")


SETTINGS = (
    Setting(
        "DATABASE_URL",
        "sqlite:///notifhist.db",
        _database_url,
        "where the history is kept; postgresql://… needs the extra notifhist[postgres]",
    ),
    Setting(
        "REPLICA_URL",
        "",
        _replica_url,
        "a streaming replica of the PostgreSQL: read once it has all that the tenant recorded, or without a primary",
    ),
    Setting(
        "STATEMENT_TIMEOUT_S",
        "10",
        _integer(0, 3600),
        "seconds after which a request that keeps the database busy is answered 503; 0: never",
    ),
    Setting("NOW", "", _now, "freezes the clock (ISO date-time or ms since the epoch), for contract tests"),
    Setting(
        "RETENTION_DAYS", "30", _integer(0, 36_500), "days an alarm notification is kept and shown; 0 keeps for ever"
    ),
    Setting("QUERY_WINDOW_DAYS", "7", _integer(1, 36_500), "days a query without `from` looks back"),
    Setting("DEFAULT_LIMIT", "50", _integer(1, 1000), "items on a page when `limit` is not given"),
    Setting(
        "HISTORY_RATE_LIMIT",
        "50000/day",
        parse_rate_limit,
        "requests of an account to the history API; empty: no limit",
    ),
    Setting("RUNS_RATE_LIMIT", "1000/minute", parse_rate_limit, "requests of a key to the runs API; empty: no limit"),
    Setting("FEED_RATE_LIMIT", "", parse_rate_limit, "requests of an account to the feeds; empty: no limit"),
    Setting(
        "FEED_DEDUP_S",
        "60",
        _integer(0, 86_400),
        "seconds in which an equal webhook of Alertmanager or Grafana is a repetition; less than any repeat_interval",
    ),
    Setting("PAGES", "on", _on_or_off, "the pages for people below /ui/: on, or off"),
    Setting("PAGES_RATE_LIMIT", "600/minute", parse_rate_limit, "requests of a session to the pages; empty: no limit"),
    Setting(
        "PAGES_USER_HEADER",
        "",
        _header_name,
        "header in which a proxy names the user, who need not sign in; needs TRUSTED_PROXIES and PAGES_USER_KEY_ID",
    ),
    Setting("PAGES_USER_KEY_ID", "", _key_id, "id of the key whose rights such a user has"),
    Setting(
        "RATE_LIMIT_STORAGE",
        "memory://",
        _rate_limit_storage,
        "memory:// counts on this machine, across workers; redis://… across machines (notifhist[redis])",
    ),
    Setting(
        "TRUSTED_PROXIES",
        "0",
        _integer(0, 100),
        "how many proxies stand in front, whose X-Forwarded-* headers are believed; 0: none",
    ),
    Setting(
        "MAX_WAIT_MS",
        "200",
        _integer(0, 3_600_000),
        "ms that requests may wait for a thread of a busy service before some are answered 503; 0: as long as it takes",
    ),
    Setting("PUBLIC_URL", "", _public_url, "what all links begin with; empty: with the host that was asked"),
    Setting(
        "ALLOWED_HOSTS",
        "",
        _list_of(_one_like(HOST, "give names or addresses with commas between them, each perhaps with a port")),
        "hosts, with commas between them, that may be asked: another Host is answered 400; empty: any host",
    ),
    Setting(
        "CORS_ORIGINS",
        "",
        _list_of(_one_like(rf"[a-z][a-z0-9+.-]*://{HOST}", "give origins such as https://name or http://name:8080")),
        "origins, with commas between them, whose pages may ask from a browser; empty: none",
    ),
)


@dataclass(frozen=True)
class Settings:
    """The settings as the service uses them. Times in days are turned into ms by the properties."""

    database_url: str
    replica_url: str
    statement_timeout_s: int
    now: int | None
    retention_days: int
    query_window_days: int
    default_limit: int
    history_rate_limit: RateLimit | None
    runs_rate_limit: RateLimit | None
    feed_rate_limit: RateLimit | None
    feed_dedup_s: int
    pages: bool
    pages_rate_limit: RateLimit | None
    pages_user_header: str
    pages_user_key_id: str
    rate_limit_storage: str
    trusted_proxies: int
    max_wait_ms: int
    public_url: str
    allowed_hosts: frozenset[str]
    cors_origins: frozenset[str]

    @property
    def retention_ms(self) -> int | None:
        """How long an item is shown, in ms; None: for ever."""
        return self.retention_days * MS_PER_DAY or None

    @property
    def query_window_ms(self) -> int:
        """How far a query without `from` looks back, in ms."""
        return self.query_window_days * MS_PER_DAY


def load_settings(environ: Mapping[str, str], overrides: Mapping[str, object] | None = None) -> Settings:
    """Return the settings of `environ`; those in `overrides` (names without the prefix) replace them.

    Raises ConfigError for a value that does not parse and for an override that is no setting.
    """
    overridden = {name: str(value) for name, value in (overrides or {}).items()}
    unknown = overridden.keys() - {setting.name for setting in SETTINGS}
    if unknown:
        raise ConfigError(f"no such setting: {', '.join(sorted(unknown))}")
    values = {}
    for setting in SETTINGS:
        text = overridden.get(setting.name, environ.get(PREFIX + setting.name, setting.default)).strip()
        try:
            values[setting.name.lower()] = setting.parse(text)
        except ValueError as error:
            raise ConfigError(f"{PREFIX}{setting.name}={hide_password(text)!r}: {error}") from None
    return Settings(**values)
