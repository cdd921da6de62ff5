"""The commands about payloads of other tools: load files of them, and follow a file of them."""

import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import click

from notifhist.cli.databases import database
from notifhist.cli.senders import sender_of, sending_settings
from notifhist.feeds.table import FEEDS, feed_of
from notifhist.schemas.query import Tenant
from notifhist.transfer.feeding import FeedLoader
from notifhist.transfer.files import owner_problems
from notifhist.transfer.follow import Follower
from notifhist.transfer.progress import progress

FEED_NAMES = [feed.name for feed in FEEDS]


def load_payloads(
    name: str, tenant: str | None, paths: Sequence[Path], others: Sequence[str | None], *, skip_bad: bool
) -> None:
    """Load files of payloads; print what became of them. Ends the process with 1 if something is bad.

    `others`: options that payloads do not have.
    """
    if any(each is not None for each in others):
        raise click.UsageError("--entity, --alarm, --check and --of are not for payloads of a --feed.")
    if tenant is None:
        raise click.UsageError("--feed needs --tenant.")
    if problems := owner_problems(Tenant(tenant)):
        raise click.UsageError(problems)
    if folders := [str(path) for path in paths if path.is_dir()]:
        raise click.UsageError(f"--feed loads files, and {', '.join(folders)} is none.")
    with database(create=True) as (db, settings), progress("Loading") as report:
        loader = FeedLoader(db, settings, feed_of(name), tenant)
        for path in paths:
            loader.load(path, skip_bad=skip_bad, report=report)
    fed = loader.fed
    for problem in fed.bad:
        click.echo(problem, err=True)
    ignored = "".join(f", {reason} {count}" for reason, count in sorted(fed.ignored.items()))
    click.echo(f"Stored {fed.created}, merged {fed.merged}, bad {len(fed.bad)}{ignored}.", err=True)
    if fed.bad and not skip_bad:
        sys.exit(1)


@click.command("follow")
@click.argument("name", type=click.Choice(FEED_NAMES), metavar="FEED")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--url", help="Where the service is: scheme, host and prefix, without /v1.0.")
@click.option("--key-file", help="The file with the key, of role monitoring:creator.")
@click.option("--query", default="", help="The query string of the feed, such as per=group.")
@click.option(
    "--position",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file that keeps the position; if not given, .FILE.position beside FILE.",
)
@click.option("--once", is_flag=True, help="Send what is there, and end.")
def follow(
    name: str, file: Path, url: str | None, key_file: str | None, query: str, position: Path | None, once: bool
) -> None:
    """Send the payloads that a tool appends to FILE, one a line, to the service's feed of that name.

    Where to send: NOTIFHIST_URL and NOTIFHIST_KEY_FILE, or url and key_file in /etc/notifhist/run.toml.
    It begins with the first line, later where it stopped; follows the file when it is rotated, and waits
    while the service is away. FILE need not be there yet. SIGTERM ends it.

    Example: notifhist follow alertmanager-events /var/log/alertmanager/events.jsonl
    """
    feed, end = feed_of(name), threading.Event()
    path = f"/feeds/{feed.name}{feed.push_path}" + (f"?{query}" if query else "")
    sender = sender_of(sending_settings(url=url, key_file=key_file))
    follower = Follower(
        feed,
        file,
        position or file.with_name(f".{file.name}.position"),
        put=lambda body: sender.put(path, body),
        pause=lambda seconds: not end.wait(seconds),
        tell=lambda message: click.echo(message, err=True),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.set())
    try:
        follower.follow(once=once)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Sent {follower.sent}.", err=True)
