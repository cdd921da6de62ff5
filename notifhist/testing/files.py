"""The files of a test: where they are, and what is expected of an answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Files:
    """The folders in which relative paths are looked for, and whether expected files are to be written anew."""

    folders: tuple[Path, ...]
    """That of the test, in which new files are written, perhaps that of `notifhist_fixtures`, and pytest's root."""
    updates: bool = False

    def find(self, name: str | Path) -> Path:
        """Return the file or folder of a name. Raises FileNotFoundError, which says where it is not."""
        __tracebackhide__ = True
        candidates = dict.fromkeys(self._candidates(name))  # an absolute path is the same in all folders
        for path in candidates:
            if path.exists():
                return path
        raise FileNotFoundError(f"There is no {name}; looked for {', '.join(map(str, candidates))}")

    def find_or_name(self, name: str | Path) -> Path:
        """Return the path of an expected file; where there is none, that where it is to be written.

        Raises FileNotFoundError, and IsADirectoryError for the name of a folder.
        """
        __tracebackhide__ = True
        try:
            found = self.find(name)
        except FileNotFoundError as error:
            if not self.updates:
                raise FileNotFoundError(f"{error}; --notifhist-update writes it") from None
            return next(self._candidates(name))
        if found.is_dir():
            raise IsADirectoryError(f"{found} is a folder; name a file that has what is expected")
        return found

    def _candidates(self, name: str | Path) -> Iterator[Path]:
        for folder in self.folders:
            yield folder / name


def is_file_name(expected: str | Path) -> bool:
    """Say whether what is expected is the name of a file, and not the text of a document itself.

    A text of blanks is no name, nor any document.
    """
    return isinstance(expected, Path) or expected.lstrip()[:1] not in ("{", "[", "<", '"', "")
