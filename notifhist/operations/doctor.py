"""`notifhist doctor`: all checks, in a table."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from notifhist.config import ConfigError
from notifhist.operations import database_checks, machine_checks, settings_checks, upkeep_checks
from notifhist.operations.findings import Finding, Level, NotMade, fault, one_line
from notifhist.operations.installation import Installation
from notifhist.store.database import ERRORS


@dataclass(frozen=True)
class Check:
    """A check: its name, and the function that yields what it finds; that may raise NotMade, or a database's error."""

    name: str
    find: Callable[[Installation], Iterable[Finding]]


CHECKS = (
    Check("settings", settings_checks.check_settings),
    Check("names of settings", settings_checks.check_names),
    Check("frozen clock", settings_checks.check_clock),
    Check("shared memory", machine_checks.check_memory),
    Check("open files", machine_checks.check_files),
    Check("rate limits", machine_checks.check_rate_limits),
    Check("database", database_checks.check_database),
    Check("tables", database_checks.check_tables),
    Check("cluster", database_checks.check_cluster),
    Check("writable", database_checks.check_writable),
    Check("integrity", database_checks.check_integrity),
    Check("durability", database_checks.check_durability),
    Check("disk", database_checks.check_disk),
    Check("clock skew", database_checks.check_skew),
    Check("connections", database_checks.check_connections),
    Check("replica", database_checks.check_replica),
    Check("keys", upkeep_checks.check_keys),
    Check("key of the pages", upkeep_checks.check_user_key),
    Check("purge", upkeep_checks.check_purge),
    Check("proxies", machine_checks.check_proxies),
)
"""All checks, in the order in which they are made and told."""


@dataclass(frozen=True)
class Result:
    """What a check has found, or why it was not made."""

    check: str
    findings: tuple[Finding, ...] = ()
    not_made: str | None = None


def examine(installation: Installation) -> list[Result]:
    """Make all checks; return what each has found. Nothing that is wrong with the installation raises an error."""
    try:
        return [_make(check, installation) for check in CHECKS]
    finally:
        installation.close()


def exit_code(results: Iterable[Result]) -> int:
    """Return 2 if there is a fault, 1 if there is a warning, else 0."""
    levels = {finding.level for result in results for finding in result.findings}
    return 2 if Level.FAULT in levels else 1 if levels else 0


def _make(check: Check, installation: Installation) -> Result:
    try:
        return Result(check.name, tuple(check.find(installation)))
    except NotMade as reason:
        return Result(check.name, not_made=str(reason))
    except ConfigError:
        return Result(check.name, not_made="the settings are faulty")
    except (OSError, *ERRORS) as error:
        problem = f"The check failed: {one_line(error)}."
        remedy = "If it fails again, look into the log of the database, or whether this user may read its file."
        return Result(check.name, (fault(problem, remedy),))
