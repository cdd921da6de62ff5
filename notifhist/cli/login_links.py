"""The command that makes a link to sign in to the pages."""

import click

from notifhist.cli.databases import clock_of, database
from notifhist.config import PREFIX, Settings
from notifhist.store.database import Database
from notifhist.store.keys import find_key
from notifhist.store.sessions import new_login_link


@click.command("login-link")
@click.option("--key-id", required=True, help="The id of the key whose rights the link gives.")
@click.option(
    "--address",
    default="127.0.0.1:8000",
    show_default=True,
    metavar="HOST:PORT",
    help="Where people reach the service; without effect if NOTIFHIST_PUBLIC_URL is set.",
)
def login_link_command(key_id: str, address: str) -> None:
    """Print a link that signs in to the pages, once, within 10 minutes.

    Whoever opens it presses one button and has a session with the rights of the key.
    The command does not know where a service listens: give --address, unless that is 127.0.0.1:8000.

    Example: notifhist login-link --key-id 0123456789ab --address history.example.com:8080
    """
    with database() as (db, settings):
        if not settings.pages:
            raise click.ClickException(f"There are no pages: {PREFIX}PAGES is off.")
        key = find_key(db, key_id)
        if key is None or not key.is_valid(clock_of(db, settings).now_ms()):
            raise click.ClickException(f"No valid key {key_id!r}; `notifhist keys list` shows the keys.")
        click.echo(login_link(db, settings, key_id, address))


def login_link(db: Database, settings: Settings, key_id: str, address: str) -> str:
    """Return a new link that signs in with a key, at NOTIFHIST_PUBLIC_URL or else at `address` (host:port)."""
    token = new_login_link(db, key_id, clock_of(db, settings).now_ms())
    return f"{settings.public_url or f'http://{address}'}/ui/login?once={token}"
