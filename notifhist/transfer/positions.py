"""The position up to which a file has been sent, kept in a file of its own."""

import json
import os
from pathlib import Path

from notifhist.transfer.tail import Place


def read_position(path: Path) -> Place | None:
    """Return the position that a file keeps; None if there is none. Raises ValueError for another content."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    try:
        return Place(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} holds no position: {error}") from None


def write_position(path: Path, place: Place) -> None:
    """Keep a position, so that a crash leaves the former one or this one."""
    new = path.with_name(f"{path.name}.new")
    with new.open("w") as file:
        file.write(json.dumps(place._asdict()))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
