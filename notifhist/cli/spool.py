"""The commands about notification commands: run one, and send what the spool has of them."""

import os
import sys
import time
from typing import Any

import click

from notifhist.cli.senders import sender_of, sending_settings
from notifhist.cli.spans import span_s
from notifhist.run import wrapper
from notifhist.run.texts import printable
from notifhist.run.users import flush_folder, folders, look_into, squatted

_TRY_AGAIN = 75
"""EX_TEMPFAIL of sysexits.h: what waits is kept."""


class _Span(click.ParamType[int]):
    """A span of time such as 12h, in seconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if (span := span_s(value)) is not None:
            return span
        self.fail("Give a span such as 30m, 12h or 7d.", param, ctx)


@click.command("run", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(arguments: tuple[str, ...]) -> None:
    """Run a notification command and record its outcome: `notifhist-run`, which starts ten times as fast.

    Example: notifhist run --entity db3 --alarm backup -- /usr/local/bin/tell-ops "backup failed"
    """
    wrapper.run(sys.argv[sys.argv.index("run") + 1 :])


@click.group("spool")
def spool() -> None:
    """Send what notifhist-run has recorded, or show it.

    Settings: NOTIFHIST_URL, NOTIFHIST_KEY_FILE and NOTIFHIST_SPOOL, or url, key_file and spool in
    /etc/notifhist/run.toml. Root sends the records of all users, others their own.
    """


_SPOOL = click.option("--spool", "spool_folder", help="The spool; /var/spool/notifhist, if nothing else is set.")


@spool.command("flush")
@_SPOOL
@click.option("--url", help="Where the service is: scheme, host and prefix, without /v1.0.")
@click.option("--key-file", help="The file with the key, of role monitoring:creator.")
@click.option("--older-than", type=_Span(), metavar="SPAN", help="Send nothing older: move it to rejected/.")
@click.option("--limit-bytes", type=click.IntRange(0), help="Drop the oldest records beyond so many bytes of a user.")
def flush(
    spool_folder: str | None, url: str | None, key_file: str | None, older_than: int | None, limit_bytes: int | None
) -> None:
    """Send all records that wait, oldest first.

    What the service takes is removed; what it will never take is moved to rejected/, with the reason. If it
    does not answer, is busy, or refuses the key, or if its URL is wrong, everything is kept, and the exit code is 75.

    Example: notifhist spool flush --older-than 7d
    """
    settings = sending_settings(spool=spool_folder, url=url, key_file=key_file)
    sender = sender_of(settings)
    is_kept = False
    _tell_squatted(settings.spool)
    for folder in folders(settings.spool):
        try:
            flushed = flush_folder(folder, sender, older_than_s=older_than, limit_bytes=limit_bytes)
        except OSError as error:  # the others' records are sent all the same
            click.echo(printable(f"User {folder.uid}: {error}"), err=True)
            is_kept = True
            continue
        for message in flushed.messages:
            click.echo(printable(message), err=True)
        counts = f"sent {flushed.sent}, rejected {flushed.rejected}, dropped {flushed.dropped}"
        kept = f"; the rest is kept: {printable(flushed.problem)}" if flushed.problem else ""
        click.echo(f"User {flushed.uid}: {counts}{kept}", err=bool(flushed.problem))
        is_kept = is_kept or bool(flushed.problem)
    if is_kept:
        sys.exit(_TRY_AGAIN)


@spool.command("status")
@_SPOOL
def status(spool_folder: str | None) -> None:
    """Show what waits in the spool, for each user."""
    base = sending_settings(spool=spool_folder).spool
    _tell_squatted(base)
    for folder in folders(base):
        try:
            found = look_into(folder)
        except OSError as error:
            click.echo(printable(f"User {folder.uid}: {error}"), err=True)
            continue
        age = f", the oldest for {time.time() - found.oldest:.0f} s" if found.waiting + found.running else ""
        click.echo(
            f"User {found.uid}: {found.waiting} waiting, {found.running} running, {found.rejected} rejected, "
            f"{found.bytes} bytes{age}"
        )


def _tell_squatted(base: str) -> None:
    if os.geteuid() == 0:  # who may not write others' folders cannot mend them
        for problem in squatted(base):
            click.echo(problem, err=True)
