"""The commands for operators: doctor and backup."""

import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click
import orjson

from notifhist.cli.databases import database
from notifhist.config import load_settings
from notifhist.operations.backup import CannotBackUp, back_up, check_program
from notifhist.operations.doctor import Result, examine, exit_code
from notifhist.operations.installation import Installation
from notifhist.store.database import BackupFailed, open_database
from notifhist.transfer.progress import progress

_RUN_IT = "There is no backup yet: run the command above. It takes the password from PGPASSWORD or ~/.pgpass."


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(as_json: bool) -> None:
    """Check the installation, and say what to do.

    It looks at the settings, the database, /dev/shm, the limit of open files, keys, purges and proxies. Run it as the
    user of the service, with the service's environment; while the service runs, it sees more.

    The exit code is 0 if all is sound, 1 if there are warnings, 2 if there are faults: the service does not work, or
    may lose what it has.
    """
    installation = Installation()
    results = examine(installation)
    click.echo(_as_json(results) if as_json else _as_text(results, installation.name))
    sys.exit(exit_code(results))


def _as_text(results: Sequence[Result], name: str) -> str:
    """Return a line for each finding, one for the checks that a reason has prevented, and a last one that sums up."""
    found = [(each.check, finding) for each in results for finding in each.findings]
    lines = [f"{finding.level}: {check}: {finding.problem} {finding.remedy}" for check, finding in found]
    made = [each.check for each in results if each.not_made is None]
    for reason in dict.fromkeys(each.not_made for each in results if each.not_made is not None):
        checks = ", ".join(each.check for each in results if each.not_made == reason)
        lines.append(f"not checked, because {reason}: {checks}.")
    return "\n".join([*lines, f"{len(made)} checks of {name}: {len(found) or 'nothing'} found."])


def _as_json(results: Sequence[Result]) -> str:
    findings = [
        {"check": each.check, "level": finding.level, "problem": finding.problem, "remedy": finding.remedy}
        for each in results
        for finding in each.findings
    ]
    not_made = {each.check: each.not_made for each in results if each.not_made is not None}
    made = [each.check for each in results if each.not_made is None]
    document = {"findings": findings, "made": made, "not_made": not_made}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
def backup(file: Path, force: bool) -> None:
    """Back up the database to FILE, in service.

    SQLite: FILE has everything that was answered 2xx before the copy began, and the keys. It is checked and on disk
    before it gets its name, so under that name there is never half of a backup. How to restore it: docs/operating.md.

    PostgreSQL has a program for that: the command to run is printed, and the exit code is 1, since there is no backup.

    Example: notifhist backup /var/backups/notifhist-$(date +%F).db
    """
    # It needs no connection: whoever cannot reach the server from here may run the command elsewhere.
    command = open_database(load_settings(os.environ).database_url).backup_command(file.absolute())
    if command:
        click.echo(shlex.join(command))
    try:
        with _ended_by_signals(), database(migrated=False) as (db, _):
            if command:
                check_program(command, db.condition().version)
                raise CannotBackUp(_RUN_IT)
            with progress("Copying", unit="pages", kept="there is no backup") as report:
                back_up(db, file, report, replace=force)
    except (CannotBackUp, BackupFailed) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Wrote {file}: {file.stat().st_size} bytes, checked.", err=True)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Have signals that end the command do so by an exception, as Ctrl-C does, so that it removes what it has begun."""
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, action in former.items():
        if action is signal.SIG_DFL:  # `nohup` has it ignored
            signal.signal(number, _end)
    try:
        yield
    finally:
        for number, action in former.items():
            signal.signal(number, action)


def _end(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)  # as shells tell it
