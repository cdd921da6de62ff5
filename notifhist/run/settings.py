"""Where records go: an option beats the environment, which beats the file."""

import os
from collections.abc import Mapping
from typing import NamedTuple

PREFIX = "NOTIFHIST_"
FILE = "/etc/notifhist/run.toml"
FILE_VARIABLE = f"{PREFIX}RUN_CONFIG"
"""Names another file; daemons clear the environment, so it is for tests and for users without /etc."""
OPTION_NAMES = ("url", "key-file", "tenant", "spool")
_PATHS = ("key_file", "spool")
DEFAULTS = {"spool": "/var/spool/notifhist"}


class Settings(NamedTuple):
    """Where records go. `url`: scheme, host and prefix, without `/v1.0`. Empty: not set."""

    url: str
    key_file: str
    tenant: str
    spool: str

    @property
    def can_send(self) -> bool:
        """Say whether it is known where to send, and with what key."""
        return bool(self.url and self.key_file)


class BadSettings(Exception):
    """The file cannot be used."""


def load_settings(options: Mapping[str, str], environ: Mapping[str, str]) -> Settings:
    """Return the settings. `options` has those that were given, by the names of `Settings`. Raises BadSettings."""
    file = read_file(environ.get(FILE_VARIABLE) or FILE)
    values = {}
    for name in Settings._fields:
        value = options.get(name) or environ.get(PREFIX + name.upper()) or file.get(name) or DEFAULTS.get(name, "")
        values[name] = os.path.abspath(value) if value and name in _PATHS else value
    return Settings(**values)


def read_file(path: str) -> dict[str, str]:
    """Return what the file says; nothing if it is missing or not readable. Raises BadSettings."""
    if not os.access(path, os.R_OK):
        return {}
    import tomllib  # 8 ms, which is for those alone who have the file

    try:
        with open(path, "rb") as file:
            found = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path}: {error}") from error
    for name, value in found.items():
        if name not in Settings._fields or not isinstance(value, str):
            raise BadSettings(f"{path}: {name} is none of {', '.join(Settings._fields)}, or not a text")
    return found
