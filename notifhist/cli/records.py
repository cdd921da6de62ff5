"""The commands that move records: load, export, purge."""

import sys
from pathlib import Path
from typing import BinaryIO

import click

from notifhist.cli.databases import clock_of, database, require_tables
from notifhist.cli.feeds import FEED_NAMES, load_payloads
from notifhist.clock import Clock
from notifhist.schemas.instants import format_instant
from notifhist.schemas.query import CheckPath, Tenant
from notifhist.schemas.resources import ITEM_RESOURCE, LOG_RESOURCE, RUN_RESOURCE, Resource
from notifhist.server.settings import cpu_count
from notifhist.store.purge import note_purge
from notifhist.store.purge import purge as purge_expired
from notifhist.transfer.export import count_lines, export_lines
from notifhist.transfer.files import Destination, owner_problems
from notifhist.transfer.garbage import rarely_looking
from notifhist.transfer.load import Loader, Source, find_sources
from notifhist.transfer.progress import progress
from notifhist.transfer.workers import workers_for

_OF_TENANTS = {"runs": RUN_RESOURCE, "logs": LOG_RESOURCE}
"""The resources whose records belong to a tenant as a whole, by the option that names them."""


@click.command("load")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--tenant", help="The records' tenant, for files that are not in a tree like the URLs.")
@click.option("--entity", help="The items' entity.")
@click.option("--alarm", help="The items' alarm.")
@click.option("--check", help="The items' check.")
@click.option("--of", "kind", type=click.Choice([*_OF_TENANTS]), help="What a tenant's file has; runs, if not given.")
@click.option("--feed", type=click.Choice(FEED_NAMES), help="The files are payloads of this feed.")
@click.option("--skip-bad", is_flag=True, help="Store the valid records of a file that has bad ones too.")
def load(
    paths: tuple[Path, ...],
    tenant: str | None,
    entity: str | None,
    alarm: str | None,
    check: str | None,
    kind: str | None,
    feed: str | None,
    skip_bad: bool,
) -> None:
    """Load files of records, or folders of such files.

    Reads documents as the APIs answer them (.json, .xml: an item, a container of items, a run, a page of
    runs, a log, a page of logs) and the lines of an export (.ndjson). The path of a document tells where it
    belongs, if it is like the URLs: TENANT/entities/E/alarms/A/notification_history/C.json,
    TENANT/api/v1/notifications/logs/run.json or TENANT/api/v1/notifications/logs.json. For other paths the
    options tell it: --tenant, --entity, --alarm and --check for items, --tenant for runs, --tenant and
    --of logs for logs. With --feed and --tenant, files are payloads of another tool, one a line or one a
    file: each becomes what the service would have made of it, except that equal webhooks, which have no time, are
    all stored, and again when the file is loaded again.

    A file is checked whole before anything of it is stored, then stored in batches. Loading a file again
    skips what is there; nothing that is stored is ever changed. So a run and a log need their id here, and
    an item its id or its timestamp.

    \b
    Examples: notifhist load fixtures
              notifhist load --tenant 123456 --entity enOne --alarm alOne --check chOne list.json
              notifhist load --tenant 123456 --of logs page.json
              notifhist load export.ndjson
              notifhist load --feed alertmanager-events --tenant 123456 events.jsonl
    """
    if feed is not None:
        return load_payloads(feed, tenant, paths, (entity, alarm, check, kind), skip_bad=skip_bad)
    of_tenant = None if kind is None else _OF_TENANTS[kind]
    sources = _sources(paths, _destination(tenant, entity, alarm, check, of_tenant))
    if _load(sources, skip_bad=skip_bad).bad and not skip_bad:
        sys.exit(1)


def _sources(paths: tuple[Path, ...], destination: Destination | None) -> list[Source]:
    """Return the files to load. Raises ClickException if there are none."""
    if sources := list(find_sources(paths, destination)):
        return sources
    raise click.ClickException(
        "No file to load: in a folder, documents lie in a tree like the URLs. Others are loaded by "
        "--tenant and so on, see --help."
    )


def _load(sources: list[Source], *, skip_bad: bool) -> Loader:
    """Load files, and print the bad records and the number of stored ones."""
    files = [source.path for source in sources]
    with rarely_looking(), workers_for(files, cpu_count()) as workers, database(create=True) as (db, settings):
        loader = Loader(db, clock_of(db, settings), workers=workers)
        try:
            with progress("Loading") as loader.report:
                for source in sources:
                    loader.load(source, skip_bad=skip_bad)
        finally:
            for problem in loader.bad:
                click.echo(problem, err=True)
            counts = f"Stored {loader.stored}, there already {loader.present}, bad {len(loader.bad)}."
            click.echo(counts, err=True)
    return loader


@click.command("export")
@click.option("--output", type=click.File("wb", lazy=True), default="-", help="A file; standard output, if not given.")
def export(output: BinaryIO) -> None:
    """Write every item, run and log as NDJSON, which `notifhist load` reads; keys are not part of it.

    Example: notifhist export > history.ndjson
    """
    with database() as (db, _), progress("Exporting", total=count_lines(db)) as report:
        for line in export_lines(db):
            output.write(line)
            report(1)
        output.flush()


@click.command("purge")
@click.option("--batch", type=click.IntRange(1, 10_000), default=500, show_default=True, help="Items deleted at once.")
def purge(batch: int) -> None:
    """Delete expired items, in batches so small that no reader or writer waits long, and give their space back.

    Expired items are no longer shown. Once a day is enough. On PostgreSQL, weeks that have expired as a whole are
    dropped; of the week in which the retention ends, expired items stay if they are more than 10,000.

    It does not upgrade the tables, since a timer may run it beside a service of an earlier version.
    """
    with database(migrated=False) as (db, settings):
        if settings.retention_ms is None:
            click.echo("Nothing ever expires: NOTIFHIST_RETENTION_DAYS is 0.")
            return
        require_tables(db)
        # By the slower of two clocks: one that is wrong must not delete what has not expired.
        now_ms = min(Clock(settings.now).now_ms(), clock_of(db, settings).now_ms())
        oldest_ms = now_ms - settings.retention_ms
        deleted = 0
        with progress("Purging", total=db.count_expired(oldest_ms)) as report:
            for done in purge_expired(db, oldest_ms, batch):
                deleted += done
                report(done)
        note_purge(db, now_ms)
    click.echo(f"Deleted {deleted} items older than {format_instant(oldest_ms)}.")


def _destination(
    tenant: str | None, entity: str | None, alarm: str | None, check: str | None, of_tenant: Resource | None
) -> Destination | None:
    """Return the destination that the options name. Raises UsageError if some are missing, or contradict others."""
    of_item = (entity, alarm, check)
    names_item = any(each is not None for each in of_item)
    if tenant is None:
        if names_item or of_tenant is not None:
            raise click.UsageError("--entity, --alarm, --check and --of need --tenant.")
        return None
    destination = Destination(of_tenant or RUN_RESOURCE, Tenant(tenant))
    if names_item and of_tenant is not None:
        raise click.UsageError("--entity, --alarm and --check are of items, --of is of runs and logs.")
    if entity is not None and alarm is not None and check is not None:
        destination = Destination(ITEM_RESOURCE, CheckPath(tenant, entity, alarm, check))
    elif names_item:
        raise click.UsageError("Items need all of --tenant, --entity, --alarm and --check.")
    if problems := owner_problems(destination.owner):
        raise click.UsageError(problems)
    return destination
