"""The command line: `notifhist serve | migrate | keys | load | export | purge`."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click
from rich.console import Console
from rich.table import Table

from notifhist.auth import GRANTS, ApiKey, new_key
from notifhist.clock import Clock
from notifhist.config import MS_PER_DAY, PREFIX, SETTINGS, ConfigError, Settings, hide_password, load_settings
from notifhist.factory import create_app
from notifhist.schemas.fields import PATH_ID, format_instant, is_path_id, parse_instant
from notifhist.schemas.query import CheckPath, Tenant
from notifhist.schemas.resources import ITEMS, RUNS
from notifhist.server import settings as serving
from notifhist.store import keys as stored_keys
from notifhist.store.database import ERRORS, Database, ensure_connected, migrate, open_database
from notifhist.store.history import expiry
from notifhist.transfer import demo
from notifhist.transfer.export import count_lines, export_lines
from notifhist.transfer.files import Destination, owner_problems
from notifhist.transfer.load import Loader, find_sources
from notifhist.transfer.progress import progress
from notifhist.transfer.workers import workers_for

_SPAN = re.compile(r"(\d{1,6})([smhd])")
_SPAN_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": MS_PER_DAY}
_DEMO_SETTINGS = {"DATABASE_URL": "sqlite:///notifhist-demo.db", "RETENTION_DAYS": "0"}


def _settings_help() -> str:
    """Return the settings as lines of help."""
    rows = [f"  {PREFIX}{each.name}={each.default}\n      {each.help}" for each in SETTINGS]
    return "\b\nSettings, read from the environment, with their defaults:\n" + "\n".join(rows)


@click.group(epilog=_settings_help(), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="notifhist")
def cli() -> None:
    """Keep and serve the history of notifications.

    \b
    Try it:   notifhist serve --demo
    Use it:   notifhist keys create --tenant 123456 --role monitoring:creator
              notifhist serve --bind 0.0.0.0:8000
    """


def main() -> None:
    """Run the command line; what the user can mend is one line on standard error and exit code 1."""
    try:
        cli()
    except (ConfigError, UnicodeError) as error:
        _fail(str(error))
    except ERRORS as error:
        url = load_settings(os.environ).database_url
        _fail(hide_password(f"The database {url} failed: {' '.join(str(error).split())}"))
    except OSError as error:
        _fail(str(error))


def _fail(message: str) -> None:
    click.echo(f"Error: {message}", err=True)
    sys.exit(1)


@cli.command("serve")
@click.option(
    "--bind", default="127.0.0.1:8000", show_default=True, metavar="HOST:PORT", help="Where to listen."
)
@click.option("--workers", type=click.IntRange(1, 512), help="Processes; one for each CPU, if not given.")
@click.option(
    "--threads",
    type=click.IntRange(1, 64),
    default=serving.THREADS,
    show_default=True,
    help="Requests that a process answers at once.",
)
@click.option(
    "--demo", "with_demo", is_flag=True, help="Load examples into a new database, print commands to try."
)
def serve(bind: str, workers: int | None, threads: int, with_demo: bool) -> None:
    """Serve both APIs until a signal stops it.

    SIGTERM stops it and SIGHUP reloads it; neither loses a request. The tables are created or upgraded
    before the first worker starts.

    Example: notifhist serve --bind 0.0.0.0:8000
    """
    if with_demo:
        for name, value in _DEMO_SETTINGS.items():
            os.environ.setdefault(PREFIX + name, value)
    create_app()  # settings that cannot be used are told once, here, and not by each worker
    with _database(create=True) as (db, settings):
        if with_demo:
            clock = Clock(settings.now)
            with progress("Loading examples") as report:
                key = demo.prepare(db, clock, report)
            click.echo(f"\nA key for tenant {demo.TENANT}, with every role:\n\n  {key}\n\nTry:\n")
            for command in demo.commands(key, bind):
                click.echo(f"  {command}\n")
    serving.serve(create_app, bind, workers or serving.cpu_count(), threads)


@cli.command("migrate")
def migrate_command() -> None:
    """Create or upgrade the tables of NOTIFHIST_DATABASE_URL.

    Safe to repeat, and by several hosts at once; the other commands do it too.
    """
    with _connected(create=True) as (db, _):
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

    Example: notifhist keys create --tenant 123456 --role monitoring:creator --expires 30d
    """
    if not is_path_id(tenant):
        raise click.BadParameter(PATH_ID, param_hint="--tenant")
    with _database(create=True) as (db, settings):
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
    """List the keys: everything about them but the keys themselves, revoked and expired ones too."""
    table = Table("ID", "NAME", "TENANT", "ROLES", "CREATED", "EXPIRES", "REVOKED", box=None)
    with _database() as (db, _):
        for key in stored_keys.list_keys(db):
            times = (
                format_instant(at) if at is not None else "-"
                for at in (key.created, key.expires, key.revoked)
            )
            table.add_row(key.id, key.name, key.tenant, " ".join(key.roles), *times)
    width = None if sys.stdout.isatty() else 10_000
    Console(width=width, markup=False, emoji=False, highlight=False).print(table)


@keys.command("revoke")
@click.argument("name_or_id")
def revoke_key(name_or_id: str) -> None:
    """Revoke the keys of this name, or the one of this id, at once.

    `notifhist keys list` shows names and ids.
    """
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
@click.option("--skip-bad", is_flag=True, help="Store the valid records of a file that has bad ones too.")
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
    say themselves where they belong; for others the options do: all four of them for items, --tenant for
    runs.

    A file is checked whole before anything of it is stored, then stored in batches. Loading a file again
    skips what is there; nothing that is stored is ever changed. So a run needs its id here, and an item
    its id or its timestamp.

    \b
    Examples: notifhist load fixtures
              notifhist load --tenant 123456 --entity enOne --alarm alOne --check chOne list.json
              notifhist load export.ndjson
    """
    sources = list(find_sources(paths, _destination(tenant, entity, alarm, check)))
    if not sources:
        raise click.ClickException(
            "No file to load: in a folder, documents lie in a tree like the URLs. Others are loaded by "
            "--tenant and so on, see --help."
        )
    files = [source.path for source in sources]
    with workers_for(files, serving.cpu_count()) as workers, _database(create=True) as (db, settings):
        loader = Loader(db, Clock(settings.now), workers=workers)
        try:
            with progress("Loading") as loader.report:
                for source in sources:
                    loader.load(source, skip_bad=skip_bad)
        finally:
            for problem in loader.bad:
                click.echo(problem, err=True)
            counts = f"Stored {loader.stored}, there already {loader.present}, bad {len(loader.bad)}."
            click.echo(counts, err=True)
    if loader.bad and not skip_bad:
        sys.exit(1)


@cli.command("export")
@click.option(
    "--output", type=click.File("wb", lazy=True), default="-", help="A file; standard output, if not given."
)
def export(output: BinaryIO) -> None:
    """Write every item and run as NDJSON, which `notifhist load` reads; keys are not part of it.

    Example: notifhist export > history.ndjson
    """
    with _database() as (db, _), progress("Exporting", total=count_lines(db)) as report:
        for line in export_lines(db):
            output.write(line)
            report(1)
        output.flush()


@cli.command("purge")
@click.option(
    "--batch", type=click.IntRange(1, 10_000), default=500, show_default=True, help="Items deleted at once."
)
def purge(batch: int) -> None:
    """Delete the items that have expired, in small batches that no reader or writer waits for long.

    They are not shown any more; this makes room, and gives it back. Once a day will do. On PostgreSQL, weeks
    that have expired as a whole are dropped, and of the week in which the retention ends many items stay.
    """
    with _database() as (db, settings):
        if settings.retention_ms is None:
            click.echo("Nothing ever expires: NOTIFHIST_RETENTION_DAYS is 0.")
            return
        oldest_ms = Clock(settings.now).now_ms() - settings.retention_ms
        deleted = 0
        with progress("Purging", total=expiry.count_expired(db, oldest_ms)) as report:
            for done in expiry.purge(db, oldest_ms, batch):
                deleted += done
                report(done)
    click.echo(f"Deleted {deleted} items older than {format_instant(oldest_ms)}.")


@contextmanager
def _connected(*, create: bool) -> Iterator[tuple[Database, Settings]]:
    """Open the database; `create` makes a SQLite file that is missing."""
    settings = load_settings(os.environ)
    db = open_database(settings.database_url, create=create)
    ensure_connected(db)
    try:
        yield db, settings
    finally:
        db.close()


@contextmanager
def _database(*, create: bool = False) -> Iterator[tuple[Database, Settings]]:
    """Open the database, its tables up to date; `create` as above."""
    with _connected(create=create) as (db, settings):
        migrate(db)
        yield db, settings


def _destination(
    tenant: str | None, entity: str | None, alarm: str | None, check: str | None
) -> Destination | None:
    """Return where the options say that records belong. Raises UsageError if they say half of it."""
    of_item = (entity, alarm, check)
    if tenant is None:
        if any(each is not None for each in of_item):
            raise click.UsageError("--entity, --alarm and --check need --tenant.")
        return None
    destination = Destination(RUNS, Tenant(tenant))
    if entity is not None and alarm is not None and check is not None:
        destination = Destination(ITEMS, CheckPath(tenant, entity, alarm, check))
    elif any(each is not None for each in of_item):
        raise click.UsageError("Items need all of --tenant, --entity, --alarm and --check.")
    if problems := owner_problems(destination.owner):
        raise click.UsageError(problems)
    return destination


def _expiry(text: str, now_ms: int) -> int:
    """Return when a key expires, ms since the epoch. Raises BadParameter."""
    if matched := _SPAN.fullmatch(text):
        expiry = now_ms + int(matched[1]) * _SPAN_MS[matched[2]]
    else:
        try:
            expiry = parse_instant(text)
        except ValueError as error:
            raise click.BadParameter(f"{error} Or give a span such as 30d.", param_hint="--expires") from None
    if expiry <= now_ms:
        raise click.BadParameter("That is past; give a time to come.", param_hint="--expires")
    return expiry


if __name__ == "__main__":
    main()
