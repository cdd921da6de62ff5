"""The checks of the database and its server."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from stat import filemode

from notifhist.config import PREFIX, ConfigError, hide_password, sqlite_file
from notifhist.operations.findings import Finding, NotMade, fault, one_line, warning
from notifhist.operations.installation import MB, PATIENCE_S, Installation
from notifhist.server.settings import THREADS, cpu_count
from notifhist.store.database import ERRORS, ensure_connected, open_database
from notifhist.store.database.sql import write_nothing

DISK_FAULT_BYTES, DISK_WARNING_BYTES = 64 * MB, 1024 * MB
"""With less, SQLite may fail to write a single page of items back; with more, somebody has the time to act."""
SKEW_WARNING_S, SKEW_FAULT_S = 2.0, 60.0
MOST_READ_BYTES = 256 * MB
"""A file of at most so many bytes is read to the end: that takes a second or two."""
_OTHER_THREADS = 3
"""Threads of a worker with a connection, beside those that answer: two that poll and answer, and one of health."""


def check_database(installation: Installation) -> Iterator[Finding]:
    """Find a database that cannot be reached."""
    settings = installation.settings
    if isinstance(error := installation.db_or_error, Exception):
        url = settings.database_url
        yield fault(
            f"The database {hide_password(url)} cannot be reached: {one_line(error)}.",
            _remedy_of_file(file)
            if (file := sqlite_file(url))
            else f"Start it, or set {PREFIX}DATABASE_URL as the service has it.",
        )


def _remedy_of_file(file: Path) -> str:
    file = file.absolute()
    for place in (file.parent, file):
        if os.path.exists(place) and not os.access(
            place, os.R_OK | os.W_OK, effective_ids=os.access in os.supports_effective_ids
        ):
            return f"Run this as the user of the service, or give that user {_owned(place)}."
    if file.exists():
        return "If the file is damaged, put a backup in its place."
    return (
        f"Set {PREFIX}DATABASE_URL as the service has it (a relative path begins at {Path.cwd()}); "
        "`notifhist migrate` makes a new file."
    )


def _owned(place: Path) -> str:
    found = place.stat()
    return f"{place} (it belongs to user {found.st_uid}, {filemode(found.st_mode)})"


def check_writable(installation: Installation) -> Iterator[Finding]:
    """Find a database that can be read alone: whoever records is answered 503."""
    file, user = installation.condition.file, os.geteuid()
    if file is not None and user == 0 and file.stat().st_uid != 0:
        raise NotMade(f"root may write everywhere: run this as the user of the service, who is to have {_owned(file)}")
    try:
        write_nothing(installation.tables)
    except ERRORS as error:
        yield fault(
            f"Nothing can be written: {one_line(error)}.",
            "Look at the server: is it a replica, or set to read alone?"
            if file is None
            else f"Give user {user}, if that is the service's, {_owned(file)} and {_owned(file.parent)}; "
            "if the file is locked, look for the program that locks it.",
        )


def check_integrity(installation: Installation) -> Iterator[Finding]:
    """Find a damaged file. A server looks for that by itself, by checksums."""
    file = installation.condition.file
    if file is None:
        return
    if file.stat().st_size > MOST_READ_BYTES:
        raise NotMade(f"a file of more than {MOST_READ_BYTES // MB} MB takes long to read; `notifhist backup` does")
    if damage := installation.db.damage():
        yield fault(f"{file} is damaged: {'; '.join(damage)}.", "Stop the service, and put a backup in its place.")


def check_tables(installation: Installation) -> Iterator[Finding]:
    """Find tables that this version does not serve."""
    try:
        if pending := installation.pending:
            yield fault(
                f"The tables are not up to date; missing: {', '.join(pending)}.",
                "Run `notifhist migrate`; until then the service answers 503.",
            )
    except ConfigError as error:
        problem, _, remedy = str(error).partition(". ")
        yield fault(f"{problem}.", remedy)


def check_cluster(installation: Installation) -> Iterator[Finding]:
    """Find tables, or a node, whose rows are not spread over the nodes of a cluster."""
    db = installation.tables
    if unplaced := db.unplaced_tables():
        yield warning(
            f"The database is a cluster, and these tables lie on one node alone: {', '.join(unplaced)}.",
            "Run `notifhist migrate`; while it spreads a table, whoever writes to that waits.",
        )
        return
    for node in db.nodes():
        if not node.shards:
            yield warning(
                f"The node {node.name} has no rows.",
                "Have the cluster move some there, in service: SELECT citus_rebalance_start().",
            )


def check_durability(installation: Installation) -> Iterator[Finding]:
    """Find a database that may lose what the service has answered 2xx, or lets readers and writers wait."""
    condition = installation.condition
    if not condition.syncs_commits:
        yield fault(
            "The database server does not sync its commits: a crash of its machine loses what was answered 2xx.",
            "Set fsync = on and synchronous_commit = on in postgresql.conf, and reload it.",
        )
    if condition.is_in_wal_mode is False:
        yield fault(
            f"The file system of {condition.file} does not let SQLite keep a write-ahead log (WAL), so readers and "
            "writers wait for each other.",
            "Move the file to a local disk.",
        )
    elif condition.was_in_wal_mode is False:
        yield warning(
            f"{condition.file} was not in WAL mode, in which readers and writers do not wait for each other; it has "
            "been switched back now.",
            "Look for the program that has switched it, and have it leave the mode alone.",
        )


def check_disk(installation: Installation) -> Iterator[Finding]:
    """Find a disk that will be full soon. That of a server cannot be seen from here."""
    file = installation.condition.file
    if file is None:
        raise NotMade("only the database server can see its disk")
    free = shutil.disk_usage(file.parent).free
    if free < DISK_WARNING_BYTES:
        yield (fault if free < DISK_FAULT_BYTES else warning)(
            f"The disk of {file} has {free // MB} MB left; once it is full, nothing is recorded any more (503).",
            "Make room, or keep less: `notifhist purge` gives the space of expired items back.",
        )


def check_skew(installation: Installation) -> Iterator[Finding]:
    """Find a clock that differs from that of the database server, by which several hosts can be compared."""
    db = installation.db  # connected before the time is taken
    before = installation.now_ms()
    clock_ms = db.condition().clock_ms
    after = installation.now_ms()
    if clock_ms is None:
        return
    skew_s = max(before - clock_ms, clock_ms - after, 0) / 1000
    if skew_s >= SKEW_WARNING_S:
        ahead = "ahead of" if before > clock_ms else "behind"
        yield (fault if skew_s >= SKEW_FAULT_S else warning)(
            f"This machine's clock is {skew_s:.0f} s {ahead} that of the database server, by which the service "
            "goes; the log and notifications that are sent with a time of their own do not.",
            "Let NTP set the clocks of all machines, and look why it does not.",
        )


def check_connections(installation: Installation) -> Iterator[Finding]:
    """Find a database server that has too few connections left for a reload, which doubles those of the service."""
    condition, running = installation.condition, installation.running
    if condition.max_connections is None or condition.connections is None:
        return
    workers = max((each.workers for each in running), default=cpu_count())
    threads = max((each.threads for each in running), default=THREADS)
    needed, left = workers * (threads + _OTHER_THREADS), condition.max_connections - condition.connections
    if left < needed:
        yield warning(
            f"The database server has {left} of {condition.max_connections} connections left, and {workers} workers "
            f"of {threads} threads may need {needed}, once more at a reload.",
            "Raise max_connections there, or start the service with fewer --workers.",
        )


def check_replica(installation: Installation) -> Iterator[Finding]:
    """Find a replica that cannot be read from."""
    if not (url := installation.settings.replica_url):
        return
    problem = None
    try:
        with closing(open_database(url, statement_timeout_s=PATIENCE_S, tells_time=False)) as db:
            ensure_connected(db)
            if not db.condition().is_replica:
                problem = "it is no replica"
    except (ConfigError, *ERRORS) as error:
        problem = one_line(error)
    if problem is not None:
        yield warning(
            f"The replica {hide_password(url)} cannot be read from, so all reads go to the primary: {problem}.",
            f"Start it, or correct {PREFIX}REPLICA_URL.",
        )
