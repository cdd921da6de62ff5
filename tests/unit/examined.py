"""What `notifhist doctor` has found, as tests look at it."""

from collections.abc import Callable

from notifhist.clock import Clock
from notifhist.operations.doctor import examine, exit_code
from notifhist.operations.findings import Finding, Level
from notifhist.operations.installation import Installation

REAL_CLOCK = Clock()


class Examined:
    """What doctor has found."""

    def __init__(self, installation: Installation) -> None:
        self.results = examine(installation)
        self.code = exit_code(self.results)
        self.findings = [(each.check, finding) for each in self.results for finding in each.findings]
        self.not_made = {each.check: each.not_made for each in self.results if each.not_made is not None}

    def only(self, check: str, level: Level) -> Finding:
        """Return the one finding there is, of a check and a level."""
        assert [(name, finding.level) for name, finding in self.findings] == [(check, level)], self.findings
        assert self.code == {Level.WARNING: 1, Level.FAULT: 2}[level]
        return self.findings[0][1]


Doctor = Callable[..., Examined]
