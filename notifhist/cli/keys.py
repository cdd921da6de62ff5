"""The commands for API keys."""

import sys

import click

from notifhist.auth import GRANTS, ApiKey, new_key
from notifhist.cli.databases import clock_of, database
from notifhist.cli.spans import span_s
from notifhist.schemas.fields import PATH_ID, is_path_id
from notifhist.schemas.instants import format_instant, parse_instant
from notifhist.store import keys as stored_keys
from notifhist.store.database import Database
from notifhist.store.remembered_keys import note_revocation


@click.group("keys")
def keys() -> None:
    """Create, list and revoke the API keys of clients."""


@keys.command("create")
@click.option("--tenant", required=True, help="The tenant whose data the key opens: 1 to 255 characters.")
@click.option("--role", "roles", required=True, multiple=True, type=click.Choice(list(GRANTS)), help="May be repeated.")
@click.option("--name", default="", help="A name to tell the key from others, and to revoke it.")
@click.option("--expires", default="", metavar="WHEN", help="An ISO date-time, or a span from now such as 30d or 12h.")
def create_key(tenant: str, roles: tuple[str, ...], name: str, expires: str) -> None:
    """Create a key and print it once: only its hash is stored.

    Each monitoring: role includes the one before it, notification-logs:edit includes view.

    Example: notifhist keys create --tenant 123456 --role monitoring:creator --expires 30d
    """
    if not is_path_id(tenant):
        raise click.BadParameter(PATH_ID, param_hint="--tenant")
    with database(create=True) as (db, settings):
        now_ms = clock_of(db, settings).now_ms()
        if name and (others := _named(db, name)):
            _warn_of_namesakes(name, others)
        secret, key_id, secret_hash = new_key()
        expiry = _expiry(expires, now_ms) if expires else None
        stored_keys.add_key(
            db, ApiKey(key_id, name or key_id, tenant, tuple(dict.fromkeys(roles)), secret_hash, now_ms, expiry)
        )
    click.echo(secret)


@keys.command("list")
def list_keys() -> None:
    """List the keys: everything about them but the keys themselves, revoked and expired ones too."""
    from rich.console import Console  # takes 40 ms, and most commands show no table
    from rich.table import Table

    table = Table("ID", "NAME", "TENANT", "ROLES", "CREATED", "EXPIRES", "REVOKED", box=None)
    with database() as (db, _):
        for key in stored_keys.list_keys(db):
            times = (format_instant(at) if at is not None else "-" for at in (key.created, key.expires, key.revoked))
            table.add_row(key.id, key.name, key.tenant, " ".join(key.roles), *times)
    width = None if sys.stdout.isatty() else 10_000
    Console(width=width, markup=False, emoji=False, highlight=False).print(table)


@keys.command("revoke")
@click.argument("name_or_id")
@click.option("--all", "every", is_flag=True, help="Revoke all keys of the name, if there are several.")
def revoke_key(name_or_id: str, every: bool) -> None:
    """Revoke the key of this name or id, at once.

    `notifhist keys list` shows names and ids. If several keys have the name, none is revoked and their ids are
    listed, unless --all is given.
    """
    with database() as (db, settings):
        if not every and len(found := _named(db, name_or_id)) > 1:
            raise click.ClickException(
                f"{len(found)} keys have the name {name_or_id!r}: {_ids(found)}. "
                "Give the id of one, or --all; `notifhist keys list` tells them apart."
            )
        revoked = stored_keys.revoke_keys(db, name_or_id, clock_of(db, settings).now_ms())
        all_know = note_revocation(settings.database_url)
    if not revoked:
        raise click.ClickException(f"No key {name_or_id!r} that could be revoked; `notifhist keys list` shows them.")
    click.echo(f"Revoked: {revoked}")
    if not all_know:
        click.echo("Not every process here could be told: the others know in a second.", err=True)


def _named(db: Database, name_or_id: str) -> list[ApiKey]:
    """Return the keys of this name or id that are not revoked, oldest first."""
    keys = stored_keys.list_keys(db)
    return [each for each in keys if name_or_id in (each.id, each.name) and each.revoked is None]


def _ids(keys: list[ApiKey]) -> str:
    return ", ".join(each.id for each in keys)


def _warn_of_namesakes(name: str, others: list[ApiKey]) -> None:
    advice = "revoke one by its id, for `keys revoke` refuses a name of several."
    click.echo(f"Warning: the name {name!r} is in use already, by {_ids(others)}; {advice}", err=True)


def _expiry(text: str, now_ms: int) -> int:
    """Return when a key expires, ms since the epoch. Raises BadParameter."""
    if (span := span_s(text)) is not None:
        expiry = now_ms + span * 1000
    else:
        try:
            expiry = parse_instant(text)
        except ValueError as error:
            raise click.BadParameter(f"{error} Or give a span such as 30d.", param_hint="--expires") from None
    if expiry <= now_ms:
        raise click.BadParameter("That is past; give a time to come.", param_hint="--expires")
    return expiry
