"""The commands that serve and migrate."""

import logging
import os
from pathlib import Path

import click

from notifhist.auth import split_key
from notifhist.cli.contract_serving import check_contract, serve_loaded
from notifhist.cli.databases import database
from notifhist.cli.listening import address_of, check_port, handed_on, listen
from notifhist.cli.login_links import login_link
from notifhist.clock import Clock
from notifhist.config import PREFIX, Settings, hide_password
from notifhist.factory import create_app
from notifhist.logs import configure_logging
from notifhist.operations.installation import Installation
from notifhist.operations.settings_checks import check_names
from notifhist.server import settings as server
from notifhist.store.database import ERRORS, Database, is_lost
from notifhist.store.migrating import migrate
from notifhist.transfer import demo
from notifhist.transfer.progress import progress
from notifhist.transfer.scratch import TENANT

_log = logging.getLogger(__name__)

_DEMO_SETTINGS = {"DATABASE_URL": "sqlite:///notifhist-demo.db", "RETENTION_DAYS": "0"}

_FOLDER = click.Path(exists=True, path_type=Path)


@click.command("serve")
@click.option("--bind", metavar="HOST:PORT", help="Where to listen: 127.0.0.1:8000, if not given.")
@click.option("--port", type=click.IntRange(0, 65_535), help="The port of 127.0.0.1 to listen at; 0: one that is free.")
@click.option("--workers", type=click.IntRange(1, 512), help="Processes; one for each CPU, if not given.")
@click.option(
    "--threads",
    type=click.IntRange(1, 64),
    default=server.THREADS,
    show_default=True,
    help="Requests that a process answers at once; on SQLite, while another answer takes long.",
)
@click.option("--demo", "with_demo", is_flag=True, help="Load examples into a new database, print commands to try.")
@click.option("--load", "folder", type=_FOLDER, help="Serve the records of this folder alone, for contract tests.")
@click.option("--now", metavar="WHEN", help="With --load: where the clock stands, an ISO date-time or ms.")
@click.option("--key", help="With --load: a text of 8 characters or more that is a key with every role.")
@click.option("--tenant", help="With --load: the tenant of that key; 123456, if not given.")
def serve(
    bind: str | None,
    port: int | None,
    workers: int | None,
    threads: int,
    with_demo: bool,
    folder: Path | None,
    now: str | None,
    key: str | None,
    tenant: str | None,
) -> None:
    """Serve both APIs and the pages until a signal stops it.

    SIGTERM stops it and SIGHUP reloads it; neither loses a request. The tables are created or upgraded
    before the first worker starts.

    With --load the database is gone afterwards, nothing expires, and nobody is refused by a rate limit, unless the
    settings say otherwise. The first line of standard output is the URL.

    \b
    Examples: notifhist serve --bind 0.0.0.0:8000
              notifhist serve --load records --now 2011-11-10T01:00Z --key my-tests --port 0
    """
    bind = _address(bind, port)
    if folder is not None:
        if with_demo or key is None:
            raise click.UsageError("--load needs --key, and is not for --demo.")
        check_contract(key, tenant or TENANT)
        serve_loaded(folder, key, tenant or TENANT, now, bind, workers or 1, threads)
    if (now, key, tenant) != (None, None, None):
        raise click.UsageError("--now, --key and --tenant need --load.")
    _serve(bind, workers, threads, with_demo)


def _address(bind: str | None, port: int | None) -> str:
    """Return HOST:PORT. Raises UsageError for both options."""
    if bind is not None and port is not None:
        raise click.UsageError("Give --port or --bind, not both.")
    if bind is not None:
        check_port(bind)
    return bind or f"127.0.0.1:{8000 if port is None else port}"


def _serve(bind: str, workers: int | None, threads: int, with_demo: bool) -> None:
    if with_demo:
        for name, value in _DEMO_SETTINGS.items():
            os.environ.setdefault(PREFIX + name, value)
    listener = listen(bind) if with_demo and bind.endswith(":0") else None
    address = bind if listener is None else address_of(listener)
    app = create_app()  # so that a bad setting is reported once, here, and not by each worker
    try:
        with database(create=True) as (db, settings):
            if with_demo:
                _set_up_demo(db, settings, address)
    except ERRORS as error:
        if app.extensions["notifhist"].sources.replica is None or not is_lost(error):
            raise
        configure_logging()
        _log.warning(
            "There is no primary, so the tables were not looked at, and only reads are answered: %s",
            hide_password(str(error)),
        )
    _warn_of_misspelt_settings()
    server.serve(create_app, bind if listener is None else handed_on(listener), workers or server.cpu_count(), threads)


def _set_up_demo(db: Database, settings: Settings, address: str) -> None:
    """Load the examples, and print how to look at them."""
    clock = Clock(settings.now)
    with progress("Loading examples") as report:
        key = demo.set_up(db, clock, report)
    if settings.pages and (parts := split_key(key)):
        click.echo(f"\nThe pages, signed in:\n\n  {login_link(db, settings, parts[0], address)}")
    click.echo(f"\nA key for tenant {TENANT}, with every role:\n\n  {key}\n\nTry:\n")
    for command in demo.commands(key, address, clock.now_ms()):
        click.echo(f"  {command}\n")


def _warn_of_misspelt_settings() -> None:
    """Log what has the name of a setting and is none: it has no effect, which nobody else would say."""
    for found in check_names(Installation()):
        configure_logging()
        _log.warning("%s %s", found.problem, found.remedy)


@click.command("migrate")
def migrate_command() -> None:
    """Create or upgrade the tables of NOTIFHIST_DATABASE_URL.

    Safe to repeat, and by several hosts at once; other commands, but for purge, backup and doctor, do it too. Where
    records have to be worked on, it shows how far it is; if it is interrupted, run it again: it goes on from there.
    """
    with database(create=True, migrated=False) as (db, _):
        unplaced = db.unplaced_tables()
        applied = migrate(db, progress)
        nodes = db.nodes()
    click.echo(f"Applied: {', '.join(applied)}" if applied else "The tables are up to date.")
    if nodes:
        places = ", ".join(f"{node.name} has {node.shards} shards of {node.bytes} bytes" for node in nodes)
        click.echo(f"The tables are spread by Citus{' now' if unplaced else ''}: {places}.")
