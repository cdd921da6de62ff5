"""The command line: `notifhist serve | migrate | keys | load | export | purge`."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click
import peewee
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from notifhist import demo, serving
from notifhist.auth import GRANTS, ApiKey, new_key
from notifhist.bulk.exporting import count_lines, export_lines
from notifhist.bulk.loading import Outcome, find_sources, load_file
from notifhist.bulk.records import Place, Tenant
from notifhist.clock import Clock
from notifhist.config import MS_PER_DAY, SETTINGS, ConfigError, Settings, load_settings
from notifhist.database import Database, lease, migrate, open_database
from notifhist.queries import history
from notifhist.queries import keys as stored_keys
from schemas.fields import format_instant, parse_instant
from schemas.query import CheckPath

_SPAN = re.compile(r"(\d{1,6})([smhd])")
_SPAN_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": MS_PER_DAY}
_DEMO_SETTINGS = {"NOTIFHIST_DATABASE_URL": "sqlite:///notifhist-demo.db", "NOTIFHIST_RETENTION_DAYS": "0"}


def _settings_help() -> str:
    """Return the settings as lines of help."""
    rows = [f"  NOTIFHIST_{each.name}={each.default}\n      {each.help}" for each in SETTINGS]
    return "\b\nSettings, read from the environment, with their defaults:\n" + "\n".join(rows)


@click.group(epilog=_settings_help(), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="notifhist")
def cli() -> None:
    """Keep and serve the history of notifications.

    Try it: `notifhist serve --demo` loads examples and prints commands that ask for them.
    """


def main() -> None:
    """Run the command line; what the user can mend is one line on standard error and exit code 1."""
    try:
        cli()
    except ConfigError as error:
        _fail(str(error))
    except peewee.PeeweeException as error:
        _fail(f"The database failed: {error}")


def _fail(message: str) -> None:
    click.echo(f"Error: {message}", err=True)
    sys.exit(1)


@cli.command("serve")
@click.option("--bind", default="127.0.0.1:8000", show_default=True, metavar="HOST:PORT")
@click.option("--workers", type=click.IntRange(1, 512), help="Processes; one for each CPU, if not given.")
@click.option("--threads", type=click.IntRange(1, 64), default=serving.THREADS, show_default=True)
@click.option(
    "--demo", "with_demo", is_flag=True, help="Load examples into a new database, print commands to try."
)
def serve(bind: str, workers: int | None, threads: int, with_demo: bool) -> None:
    """Serve both APIs until a signal stops it.

    SIGTERM stops it and SIGHUP reloads it; neither loses a request. The tables are created or upgraded
    before the first worker starts.
    """
    if with_demo:
        for name, value in _DEMO_SETTINGS.items():
            os.environ.setdefault(name, value)
    with _database() as (db, settings):
        if with_demo:
            clock = Clock(settings.now)
            with _progress("Loading examples") as advance:
                key = demo.prepare(db, clock, advance)
            click.echo(f"\nA key for tenant {demo.TENANT}, with every role:\n\n  {key}\n\nTry:\n")
            for command in demo.commands(key, bind):
                click.echo(f"  {command}\n")
    serving.serve(bind, workers or serving.cpu_count(), threads)


@cli.command("migrate")
def migrate_command() -> None:
    """Create or upgrade the tables. Safe to repeat, and by several hosts at once."""
    db = open_database(load_settings(os.environ).database_url, create=True)
    lease(db)
    applied = migrate(db)
    click.echo(f"Applied: {', '.join(applied)}" if applied else "The tables are up to date.")


@cli.group("keys")
def keys() -> None:
    """Create, list and revoke the keys that clients ask with."""


@keys.command("create")
@click.option("--tenant", required=True, help="Whose data the key opens: 1 to 255 characters.")
@click.option(
    "--role", "roles", required=True, multiple=True, type=click.Choice(list(GRANTS)), help="May be repeated."
)
@click.option("--name", default="", help="To tell it from others, and to revoke it by.")
@click.option(
    "--expires", default="", metavar="WHEN", help="An ISO date-time, or a span from now such as 30d or 12h."
)
def create_key(tenant: str, roles: tuple[str, ...], name: str, expires: str) -> None:
    """Create a key and print it, this once: only its hash is kept.

    Each monitoring: role includes the one before it, notification-logs:edit includes view.
    """
    if not 1 <= len(tenant) <= 255 or "/" in tenant or not tenant.isprintable():
        raise click.BadParameter("give 1 to 255 printable characters without a slash", param_hint="--tenant")
    with _database() as (db, settings):
        now_ms = Clock(settings.now).now_ms()
        secret, key_id, secret_hash = new_key()
        expiry = _expiry(expires, now_ms) if expires else None
        stored_keys.add_key(
            db,
            ApiKey(key_id, name or key_id, tenant, tuple(dict.fromkeys(roles)), secret_hash, now_ms, expiry),
        )
    click.echo(secret)


@keys.command("list")
def list_keys() -> None:
    """List the keys: everything about them but the keys themselves."""
    table = Table("ID", "NAME", "TENANT", "ROLES", "CREATED", "EXPIRES", "REVOKED", box=None)
    with _database() as (db, _):
        for key in stored_keys.list_keys(db):
            times = (
                format_instant(at) if at is not None else "-"
                for at in (key.created, key.expires, key.revoked)
            )
            table.add_row(key.id, key.name, key.tenant, " ".join(key.roles), *times)
    Console(width=None if sys.stdout.isatty() else 400, markup=False).print(table)


@keys.command("revoke")
@click.argument("name_or_id")
def revoke_key(name_or_id: str) -> None:
    """Revoke the keys of this name, or the one of this id, at once."""
    with _database() as (db, settings):
        revoked = stored_keys.revoke_keys(db, name_or_id, Clock(settings.now).now_ms())
    if not revoked:
        raise click.ClickException(
            f"No key {name_or_id!r} that could be revoked; `notifhist keys list` shows them."
        )
    click.echo(f"Revoked: {revoked}")


@cli.command("load")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--tenant", help="Where the records belong, for files that do not lie in a tree like the URLs.")
@click.option("--entity", help="The items' entity.")
@click.option("--alarm", help="The items' alarm.")
@click.option("--check", help="The items' check.")
@click.option("--skip-bad", is_flag=True, help="Store the sound records of a file that has bad ones too.")
def load(
    paths: tuple[Path, ...],
    tenant: str | None,
    entity: str | None,
    alarm: str | None,
    check: str | None,
    skip_bad: bool,
) -> None:
    """Load files of records, or folders of such files.

    Reads documents as the APIs answer them (.json, .xml: an item, a container of items, a run, a page of
    runs) and the lines of an export (.ndjson). Documents in a tree like the URLs,
    TENANT/entities/E/alarms/A/notification_history/C.json or TENANT/api/v1/notifications/logs/run.json,
    say themselves where they belong; for others the options do.

    A file is checked whole before anything of it is stored, then stored in batches. Loading a file again
    skips what is there; nothing that is stored is ever changed.
    """
    place = _place(tenant, entity, alarm, check)
    outcome = Outcome()
    with _database() as (db, settings), _progress("Loading") as advance:
        for source in find_sources(paths, place):
            load_file(db, source, Clock(settings.now), outcome, skip_bad=skip_bad, report=advance)
    for problem in outcome.bad:
        click.echo(problem, err=True)
    click.echo(f"Stored {outcome.stored}, there already {outcome.present}, bad {len(outcome.bad)}.", err=True)
    if outcome.bad and not skip_bad:
        sys.exit(1)


@cli.command("export")
@click.option(
    "--output", type=click.File("wb", lazy=False), default="-", help="A file; standard output, if not given."
)
def export(output: BinaryIO) -> None:
    """Write every item and run as NDJSON, which `notifhist load` reads; keys are not part of it."""
    with _database() as (db, _), _progress("Exporting", total=count_lines(db)) as advance:
        for line in export_lines(db):
            output.write(line)
            advance(1)
        output.flush()


@cli.command("purge")
@click.option(
    "--batch", type=click.IntRange(1, 10_000), default=500, show_default=True, help="Items deleted at once."
)
def purge(batch: int) -> None:
    """Delete the items that have expired, in small batches that no reader or writer waits for long."""
    with _database() as (db, settings):
        if settings.retention_ms is None:
            click.echo("Nothing ever expires: NOTIFHIST_RETENTION_DAYS is 0.")
            return
        oldest_ms = Clock(settings.now).now_ms() - settings.retention_ms
        deleted = 0
        with _progress("Purging", total=history.count_expired(db, oldest_ms)) as advance:
            while done := history.purge_expired(db, oldest_ms, batch):
                deleted += done
                advance(done)
    click.echo(f"Deleted {deleted} items older than {format_instant(oldest_ms)}.")


@contextmanager
def _database() -> Iterator[tuple[Database, Settings]]:
    """Open the database, its tables up to date."""
    settings = load_settings(os.environ)
    db = open_database(settings.database_url, create=True)
    lease(db)
    try:
        migrate(db)
        yield db, settings
    finally:
        db.close()


@contextmanager
def _progress(title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error; yields what moves it on by a number of records."""
    columns: tuple[Any, ...] = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.advance(task, done)
        progress.update(task, total=progress.tasks[0].completed)


def _place(tenant: str | None, entity: str | None, alarm: str | None, check: str | None) -> Place | None:
    """Return where the options say that records belong. Raises UsageError if they say half of it."""
    of_item = (entity, alarm, check)
    if tenant is None:
        if any(each is not None for each in of_item):
            raise click.UsageError("--entity, --alarm and --check need --tenant.")
        return None
    if entity is not None and alarm is not None and check is not None:
        return CheckPath(tenant, entity, alarm, check)
    if any(each is not None for each in of_item):
        raise click.UsageError("Items need all of --tenant, --entity, --alarm and --check.")
    return Tenant(tenant)


def _expiry(text: str, now_ms: int) -> int:
    """Return when a key expires, ms since the epoch. Raises BadParameter."""
    if matched := _SPAN.fullmatch(text):
        return now_ms + int(matched[1]) * _SPAN_MS[matched[2]]
    try:
        expiry = parse_instant(text)
    except ValueError as error:
        raise click.BadParameter(f"{error} Or give a span such as 30d.", param_hint="--expires") from None
    if expiry <= now_ms:
        raise click.BadParameter("That is past.", param_hint="--expires")
    return expiry


if __name__ == "__main__":
    main()
