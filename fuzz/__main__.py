"""`python -m fuzz NAME [SECONDS]`: fuzz one parser; `python -m fuzz`: each for a quarter of an hour.

What is found is written into the current folder as `crash-…` or `timeout-…`, and belongs into `fuzz/corpus/NAME/`.
New inputs that reach new code are collected in `fuzz/found/NAME/`, which is not kept.
"""

import subprocess
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["notifhist", "werkzeug", "json", "marshmallow", "urllib"]):
    from fuzz.harnesses import HARNESSES

FOLDER = Path(__file__).parent
MAX_BYTES = 8190
"""The longest field of a header."""
SLOW_S = 5
"""Far more than 1 ms a kilobyte, since the instrumentation takes its time too."""


def main(arguments: list[str]) -> int:
    """Fuzz the parser that is named, or all; return the exit status."""
    name, seconds = arguments[0], arguments[1] if len(arguments) > 1 else "900"
    found = FOLDER / "found" / name
    found.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", f"-max_len={MAX_BYTES}", f"-timeout={SLOW_S}", "-print_final_stats=1"]
    dictionary = f"-dict={FOLDER / 'tokens.dict'}"
    atheris.Setup([sys.argv[0], *options, dictionary, str(found), str(FOLDER / "corpus" / name)], HARNESSES[name])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(sys.argv[1:]))
    sys.exit(max(subprocess.call([sys.executable, "-m", "fuzz", name]) for name in HARNESSES))  # noqa: S603
