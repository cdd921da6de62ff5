"""What `notifhist doctor` finds."""

from enum import StrEnum
from typing import NamedTuple

from notifhist.config import hide_password


class Level(StrEnum):
    """How bad a finding is: the service does not work, or loses what it has; or it will one day, or works less well."""

    FAULT = "fault"
    WARNING = "warning"


class Finding(NamedTuple):
    """Something that is not as it should be: what it is, and what to do, in sentences."""

    level: Level
    problem: str
    remedy: str


class NotMade(Exception):
    """A check could not be made; the message says why."""


def fault(problem: str, remedy: str) -> Finding:
    """Return a finding of level FAULT."""
    return Finding(Level.FAULT, _plain(problem), _plain(remedy))


def warning(problem: str, remedy: str) -> Finding:
    """Return a finding of level WARNING."""
    return Finding(Level.WARNING, _plain(problem), _plain(remedy))


def _plain(text: str) -> str:
    """Return a text without what would write other lines, or command a terminal: others choose names and addresses."""
    return "".join(each if each.isprintable() else " " if each.isspace() else "?" for each in text)


def one_line(error: Exception) -> str:
    """Return the message of an error as a part of a sentence, without passwords."""
    return hide_password(" ".join(str(error).split())).rstrip(".?")
