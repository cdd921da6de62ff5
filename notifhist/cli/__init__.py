"""The command line, `notifhist`: a group of commands, each in the module of its subject."""

import os
from typing import Any

from notifhist.imports import without_garbage

with without_garbage():
    import click

    from notifhist.cli.completion import completion
    from notifhist.cli.feeds import follow
    from notifhist.cli.keys import keys
    from notifhist.cli.login_links import login_link_command
    from notifhist.cli.operations import backup, doctor
    from notifhist.cli.records import export, load, purge
    from notifhist.cli.serving import migrate_command, serve
    from notifhist.cli.spool import run, spool
    from notifhist.config import PREFIX, SETTINGS, ConfigError, hide_password, load_settings
    from notifhist.store.database import ERRORS


def _settings_help() -> str:
    """Return the settings as lines of help."""
    rows = [f"  {PREFIX}{each.name}={each.default}\n      {each.help}" for each in SETTINGS]
    return "\b\nSettings, read from the environment, with their defaults:\n" + "\n".join(rows)


class _Commands(click.Group):
    """The commands; an error that the user can mend is one line on standard error and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # click ends in silence, like other filters whose reader is gone
        except ERRORS as error:
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


for _command in (
    *(serve, migrate_command, keys, login_link_command, load, export, purge, run, spool, follow),
    *(doctor, backup, completion),
):
    main.add_command(_command)
