"""`notifhist serve --load`: a service for contract tests, whose database is gone afterwards."""

import os
from functools import partial
from pathlib import Path

import click

from notifhist.cli.listening import address_of, handed_on, listen
from notifhist.clock import Clock
from notifhist.config import PREFIX, load_settings
from notifhist.factory import create_app
from notifhist.schemas.fields import PATH_ID, is_path_id
from notifhist.server import settings as server
from notifhist.store.database import Database
from notifhist.transfer.load import Loader, find_sources
from notifhist.transfer.scratch import SETTINGS, add_new_key, opened, scratch_folder, url_of

LEAST_KEY_CHARACTERS = 8


def check_contract(key: str, tenant: str) -> None:
    """Raise BadParameter for a key or a tenant that cannot be served."""
    if len(key) < LEAST_KEY_CHARACTERS or not key.isascii() or not key.isprintable() or key != key.strip():
        text = f"give {LEAST_KEY_CHARACTERS} printable characters of ASCII or more, without blanks at the ends"
        raise click.BadParameter(text, param_hint="--key")
    if not is_path_id(tenant):
        raise click.BadParameter(PATH_ID, param_hint="--tenant")


def serve_loaded(folder: Path, key: str, tenant: str, now: str | None, bind: str, workers: int, threads: int) -> None:
    """Serve the records of a folder at `bind` (HOST:PORT); `key` is a key of `tenant` with every role.

    `now` stops the clock. The first line of standard output is the URL. Raises ClickException for a bad record, and
    SystemExit at the end.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(PREFIX + name, value)
    if now is not None:
        os.environ[f"{PREFIX}NOW"] = now
    with scratch_folder() as scratch:
        os.environ[f"{PREFIX}DATABASE_URL"] = url = url_of(scratch / "notifhist.db")
        clock = Clock(load_settings(os.environ).now)
        with opened(url, create=True) as db:
            _load(db, clock, folder)
            _, key_id = add_new_key(db, "contract tests", tenant, (), 0)
        listener = listen(bind)
        click.echo(f"http://{address_of(listener)}")
        create = partial(create_app, given_keys={key: key_id})
        server.serve(create, handed_on(listener), workers, threads)


def _load(db: Database, clock: Clock, folder: Path) -> None:
    loader = Loader(db, clock)
    for source in find_sources([folder], None):
        loader.load(source)
    if loader.bad:
        raise click.ClickException("\n".join(loader.bad))
