"""Recorded documents as templates read them: a member that was not recorded is None."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


class Recorded(dict[str, Any]):
    """A document whose absent members are None; templates refuse any other name that they do not know."""

    def __missing__(self, name: str) -> None:
        return None


def recorded(documents: Iterable[Mapping[str, Any]] | None) -> Iterator[Recorded]:
    """Yield the documents as templates read them; none of None."""
    return map(Recorded, documents or ())
