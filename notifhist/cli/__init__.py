"""The command line, `notifhist`: a group of commands, each in the module of its subject."""

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

import notifhist.cli.completion  # noqa: F401 - it tells click how to complete in bash
from notifhist.config import PREFIX, SETTINGS, ConfigError, hide_password, load_settings
from notifhist.imports import without_garbage


class _Place(NamedTuple):
    """Where a command is, and what lists of commands say of it. It is imported when it is asked for."""

    module: str
    attribute: str
    help: str


_COMMANDS: Mapping[str, _Place] = {
    "backup": _Place("operations", "backup", "Back up the database to FILE, in service."),
    "completion": _Place("completion", "completion", "Print what has a shell complete commands."),
    "doctor": _Place("operations", "doctor", "Check the installation, and say what to do."),
    "export": _Place("records", "export", "Write every item, run and log as NDJSON."),
    "follow": _Place("feeds", "follow", "Send the payloads that a tool appends to FILE."),
    "keys": _Place("keys", "keys", "Create, list and revoke the API keys of clients."),
    "load": _Place("records", "load", "Load files of records, or folders of such files."),
    "login-link": _Place("login_links", "login_link_command", "Print a link that signs in to the pages."),
    "migrate": _Place("serving", "migrate_command", "Create or upgrade the tables of NOTIFHIST_DATABASE_URL."),
    "purge": _Place("records", "purge", "Delete expired items."),
    "run": _Place("spool", "run", "Run a notification command and record its outcome."),
    "serve": _Place("serving", "serve", "Serve both APIs and the pages until a signal stops it."),
    "spool": _Place("spool", "spool", "Send what notifhist-run has recorded, or show it."),
}
"""The commands. To import all of them takes ten times as long as to complete a word, 0.6 s."""


def _settings_help() -> str:
    """Return the settings as lines of help."""
    rows = [f"  {PREFIX}{each.name}={each.default}\n      {each.help}" for each in SETTINGS]
    return "\b\nSettings, read from the environment, with their defaults:\n" + "\n".join(rows)


def _database_errors() -> tuple[type[Exception], ...]:
    """Return the errors of databases: none unless a command has imported what raises them."""
    found = sys.modules.get("notifhist.store.database")
    return found.ERRORS if found else ()


class _Commands(click.Group):
    """The commands; an error that the user can mend is one line on standard error and exit code 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (place := _COMMANDS.get(cmd_name)) is None:
            return None
        with without_garbage():
            module = import_module(f"{__name__}.{place.module}")
        command: click.Command = getattr(module, place.attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.help) for name, place in _COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [name for name in _COMMANDS if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=_COMMANDS[name].help) for name in names), *options]

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # click ends in silence, like other filters whose reader is gone
        except _database_errors() as error:
            url = load_settings(os.environ).database_url
            message = f"The database {url} failed: {' '.join(str(error).split())}"
            raise click.ClickException(hide_password(message)) from error
        except (ConfigError, UnicodeError, OSError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, epilog=_settings_help(), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="notifhist")
def main() -> None:
    """Keep and serve the history of notifications.

    \b
    Try it:   notifhist serve --demo
    Use it:   notifhist keys create --tenant 123456 --role monitoring:creator
              notifhist serve --bind 0.0.0.0:8000
    """
