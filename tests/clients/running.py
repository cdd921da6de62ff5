"""How the published clients are found and run."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.system.service import PATIENCE_S, ROOT


def find(variable: str, default: str) -> str:
    """Return the program that the environment's `variable` names, or else the one that `make` installs."""
    path = Path(os.environ.get(variable) or ROOT / default)
    if not path.exists():
        pytest.fail(f"{path} is missing: `make test` makes it.", pytrace=False)
    return str(path)


def run(*command: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Return the outcome of a client that finds nothing of ours in its environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CORTEX_"))}
    return subprocess.run(
        command, capture_output=True, text=True, env=kept | environ, timeout=2 * PATIENCE_S, check=False
    )
