"""A file system that a test can fill: a small one of its own, which only root may mount."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


class FullDisk:
    """A file system of some MB, empty at first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Take all space that is left."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 16, 1 << 12):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def free(self) -> None:
        """Give the space back."""
        self._filler.unlink()


@contextmanager
def mounted(folder: Path, megabytes: int) -> Iterator[FullDisk]:
    """Mount an empty file system at a folder; skip the test if that is not allowed."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system to fill")
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)]
    if (done := subprocess.run(command, capture_output=True, text=True)).returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr}")
    try:
        yield FullDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
