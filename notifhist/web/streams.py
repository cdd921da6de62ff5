"""The body of an answer that is made while it is sent: read in batches, by whatever thread makes a piece of it.

Nothing is held between two pieces, no transaction, cursor or thread; so a client may take its time (docs/adr/0023).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from notifhist.config import hide_password
from notifhist.serializers.lines import Lines
from notifhist.store.database import ERRORS, Database, exceeded_limits, is_unreachable
from notifhist.store.sources import Source, Sources

Connected = Callable[[], Database]
"""Returns the database to read a batch from, connected in the thread that calls it."""
Batches = Callable[[Connected], Iterable[Lines]]
"""Returns the documents of a stream, each batch by a short query of its own, from what `Connected` returns then."""


class BrokenStream(Exception):
    """The database is gone in the midst of a stream, or took too long; says how, without a password."""


class Reads:
    """The database to read from: as for a request, but chosen anew each time, since another thread may ask.

    A stream that has not said from the start that it may lag does not go on from where it may.
    """

    def __init__(self, sources: Sources, tenant: str) -> None:
        self._sources, self._tenant = sources, tenant
        self._may_lag: bool | None = None
        self.source: Source | None = None
        """What was read from last."""

    def __call__(self) -> Database:
        """Return the database, connected in this thread. Raises one of ERRORS."""
        may_lag = self._may_lag is not False
        self.source = None  # what fails now is the primary
        source = self._sources.connect(may_lag=may_lag)
        if not source.may_lag:
            source = self._sources.of_tenant(self._tenant, may_lag=may_lag)
        if self._may_lag is None:
            self._may_lag = source.may_lag
        self.source = source
        return source.db

    def failed(self, error: Exception) -> None:
        """Do not use the connection again that was used last."""
        self._sources.failed(self.source, error)


class StreamedBody:
    """The pieces that `written` makes of batches. The first is made at once: its errors are the caller's."""

    def __init__(self, reads: Reads, batches: Batches, written: Callable[[Iterable[Lines]], Iterator[bytes]]) -> None:
        self._reads, self._batches = reads, iter(batches(reads))
        self._pieces = written(self._batches)
        self._first = next(self._pieces, None)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """Return the next piece; it may be empty. Raises BrokenStream where the database is gone or takes too long."""
        if (first := self._first) is not None:
            self._first = None
            return first
        try:
            return next(self._pieces)
        except ERRORS as error:
            self._reads.failed(error)
            if not (is_unreachable(error) or exceeded_limits(error)):
                raise
            raise BrokenStream(hide_password(str(error))) from None

    def close(self) -> None:
        """End what makes the pieces, and what reads the batches."""
        for each in (self._pieces, self._batches):
            close: Any = getattr(each, "close", None)
            if close is not None:
                close()
