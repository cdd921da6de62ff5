"""The commands that serve and migrate."""

import os

import click

from notifhist.auth import split_key
from notifhist.cli.databases import database
from notifhist.cli.login_links import login_link
from notifhist.clock import Clock
from notifhist.config import PREFIX
from notifhist.factory import create_app
from notifhist.server import settings as server
from notifhist.store.migrating import migrate
from notifhist.transfer import demo
from notifhist.transfer.progress import progress

_DEMO_SETTINGS = {"DATABASE_URL": "sqlite:///notifhist-demo.db", "RETENTION_DAYS": "0"}


@click.command("serve")
@click.option("--bind", default="127.0.0.1:8000", show_default=True, metavar="HOST:PORT", help="Where to listen.")
@click.option("--workers", type=click.IntRange(1, 512), help="Processes; one for each CPU, if not given.")
@click.option(
    "--threads",
    type=click.IntRange(1, 64),
    default=server.THREADS,
    show_default=True,
    help="Requests that a process answers at once; on SQLite, while another answer takes long.",
)
@click.option("--demo", "with_demo", is_flag=True, help="Load examples into a new database, print commands to try.")
def serve(bind: str, workers: int | None, threads: int, with_demo: bool) -> None:
    """Serve both APIs and the pages until a signal stops it.

    SIGTERM stops it and SIGHUP reloads it; neither loses a request. The tables are created or upgraded
    before the first worker starts.

    Example: notifhist serve --bind 0.0.0.0:8000
    """
    if with_demo:
        for name, value in _DEMO_SETTINGS.items():
            os.environ.setdefault(PREFIX + name, value)
    create_app()  # so that a bad setting is reported once, here, and not by each worker
    with database(create=True) as (db, settings):
        if with_demo:
            clock = Clock(settings.now)
            with progress("Loading examples") as report:
                key = demo.set_up(db, clock, report)
            if settings.pages and (parts := split_key(key)):
                click.echo(f"\nThe pages, signed in:\n\n  {login_link(db, settings, parts[0], bind)}")
            click.echo(f"\nA key for tenant {demo.TENANT}, with every role:\n\n  {key}\n\nTry:\n")
            for command in demo.commands(key, bind, clock.now_ms()):
                click.echo(f"  {command}\n")
    server.serve(create_app, bind, workers or server.cpu_count(), threads)


@click.command("migrate")
def migrate_command() -> None:
    """Create or upgrade the tables of NOTIFHIST_DATABASE_URL.

    Safe to repeat, and by several hosts at once; the other commands do it too. Where records have to be worked on,
    it shows how far it is; if it is interrupted, run it again: it goes on from there.
    """
    with database(create=True, migrated=False) as (db, _):
        applied = migrate(db, progress)
    click.echo(f"Applied: {', '.join(applied)}" if applied else "The tables are up to date.")
