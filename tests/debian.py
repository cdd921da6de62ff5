"""What tests need of Debian's packages."""

import os
import shutil
from collections.abc import Mapping

import pytest


def require_programs(packages: Mapping[str, str]) -> None:
    """Say what to install, if a program is missing: the tests are asked for by name, so none is skipped for it.

    `packages`: from each program to the packages that have it. Raises pytest.UsageError.
    """
    if missing := missing_programs(packages):
        raise pytest.UsageError(missing)


def missing_programs(packages: Mapping[str, str]) -> str:
    """Return what to install, as a sentence; the empty string if no program is missing."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # where users do not look for daemons
    missing = dict.fromkeys(each for program, each in packages.items() if shutil.which(program) is None)
    if not missing:
        return ""
    return f"Programs are missing. On Debian or Ubuntu: apt-get install --no-install-recommends {' '.join(missing)}"
