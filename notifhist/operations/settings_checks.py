"""The checks of the settings."""

import os
import re
from collections.abc import Iterator
from difflib import get_close_matches

from notifhist.config import PREFIX, SETTINGS, ConfigError
from notifhist.factory import create_app
from notifhist.operations.findings import Finding, fault, warning
from notifhist.operations.installation import Installation
from notifhist.run.option_table import OPTIONS
from notifhist.run.settings import FILE_VARIABLE
from notifhist.schemas.instants import format_instant

_KNOWN = {PREFIX + setting.name for setting in SETTINGS} | {each.variable for each in OPTIONS} | {FILE_VARIABLE}

_OF_KUBERNETES = re.compile(
    rf"{PREFIX}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?)=.*"
    rf"|{PREFIX}(\w+_)?PORT=(tcp|udp|sctp)://.*",
    re.DOTALL,
)
"""What Kubernetes sets in each container for a Service whose name begins with notifhist, and Docker for a link."""
_ALIKE = 0.85
"""How alike two names are of which one may be a slip of the other, from 0 to 1; all begin alike."""


def check_settings(installation: Installation) -> Iterator[Finding]:
    """Find values that stop the service, alone or together."""
    if isinstance(error := installation.settings_or_error, ConfigError):
        yield fault(f"A setting is faulty: {error}.", "Correct it where the service gets its environment.")
        return
    try:
        create_app()
    except ConfigError as problem:
        yield fault(f"The service does not start: {problem}.", "Correct it where the service gets its environment.")


def check_names(installation: Installation) -> Iterator[Finding]:
    """Find variables that look like settings and are none."""
    for name in sorted(os.environ):
        if (
            name.startswith(PREFIX)
            and name not in _KNOWN
            and not _OF_KUBERNETES.fullmatch(f"{name}={os.environ[name]}")
        ):
            meant = get_close_matches(name, _KNOWN, 1, _ALIKE)
            advice = f"Write {meant[0]}, if that is meant, or remove it." if meant else "Remove it."
            yield warning(
                f"{name} is no setting, so it has no effect.", f"{advice} `notifhist --help` lists the settings."
            )


def check_clock(installation: Installation) -> Iterator[Finding]:
    """Find a clock that stands still."""
    if (frozen := installation.settings.now) is not None:
        yield warning(
            f"The clock stands still at {format_instant(frozen)}: nothing expires, and new records get that time.",
            f"Unset {PREFIX}NOW, which is for tests.",
        )
