"""Load files of payloads into the database, as a feed would have recorded them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from notifhist.clock import Clock
from notifhist.config import Settings
from notifhist.errors import ApiError
from notifhist.feeds.feed import Derived, Feed, Origin
from notifhist.schemas.fields import MAX_TICKS, TICKS_PER_MS
from notifhist.store.database import Database
from notifhist.store.history.derived import record_derived

_BATCH = 500
"""So many items, and those of one payload more, are stored in one transaction."""
_MAX_WHOLE_BYTES = 256 * 1024 * 1024
"""The longest payload that is a whole file; so much of a file of lines is in memory if its first line is bad."""
_NO_REPETITIONS_MS = -MAX_TICKS // TICKS_PER_MS
"""Nothing that is stored is so young that an equal notification would be a repetition."""


@dataclass
class Fed:
    """What became of the payloads: items, and what was ignored, by reason; `bad` names what does not parse."""

    created: int = 0
    merged: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)


class FeedLoader:
    """Loads payloads of a feed for a tenant; what has no time of its own was received now.

    Such payloads are of different times, however equal they are: a file has what was received, and no retries.
    """

    def __init__(self, db: Database, settings: Settings, feed: Feed, tenant: str) -> None:
        self._db, self._feed, self._tenant = db, feed, tenant
        self._clock, self._received_ticks = Clock(settings.now, db.ahead_ticks), 0
        self.fed = Fed()

    def load(self, path: Path, *, skip_bad: bool, report: Callable[[int], None] = lambda n: None) -> None:
        """Load a file: a payload a line, or one in all. If some are bad, none is loaded, unless `skip_bad`.

        `report` is called with the number of payloads that are done.
        """
        problems = [problem for _, problem in self._read(path) if problem]
        self.fed.bad += problems
        if problems and not skip_bad:
            return
        for some, items in self._batches(payload for payload, problem in self._read(path) if not problem):
            self._store(items)
            report(some)

    def _read(self, path: Path) -> Iterator[tuple[Any, str]]:
        """Yield the payloads of a file, each with what is wrong with it; the file is not in memory if it has lines."""
        with path.open("rb") as file:
            is_lined = self._is_lined(file)
            file.seek(0)
            parts = enumerate(file, 1) if is_lined else [(0, file.read())]
            for number, part in parts:
                if part.strip() or not is_lined:
                    payload, problem = self._decoded(part)
                    yield payload, problem and f"{path}{f':{number}' if number else ''}: {problem}"

    def _is_lined(self, file: BinaryIO) -> bool:
        """Say whether a file has a payload a line: not if it is one as a whole, nor if none of its lines is one."""
        lines = (line for line in file if line.strip())
        if self._is_payload(next(lines, b"")):
            return True  # what follows a whole payload is no part of it
        file.seek(0)
        if self._is_payload(file.read(_MAX_WHOLE_BYTES)):
            return False
        file.seek(0)
        return any(self._is_payload(line) for line in file)

    def _is_payload(self, body: bytes) -> bool:
        """Say whether bytes are a payload; a number or a text, such as may be a line of a payload, is none."""
        payload, problem = self._decoded(body)
        return not problem and isinstance(payload, dict | list)

    def _decoded(self, body: bytes) -> tuple[Any, str]:
        """Return a payload, and what is wrong with it: "" if nothing is."""
        try:
            return next(iter(self._feed.decoders.values()))(body), ""
        except ApiError as error:
            return None, str(error)

    def _batches(self, payloads: Iterable[Any]) -> Iterator[tuple[int, list[Derived]]]:
        """Yield the items of payloads, of whole payloads each time, with the number of these."""
        items: list[Derived] = []
        some = 0
        for payload in self._parts(payloads):
            self._received_ticks = max(self._received_ticks + 1, self._clock.now_ticks())
            mapped = self._feed.map(payload, Origin(self._tenant, self._received_ticks))
            self.fed.ignored += mapped.ignored
            items += mapped.items
            some += 1
            if len(items) >= _BATCH:
                yield some, items
                items, some = [], 0
        yield some, items

    def _parts(self, payloads: Iterable[Any]) -> Iterator[Any]:
        """Yield payloads, of a list each for itself: a body has a bound, and a file has none."""
        for payload in payloads:
            if self._feed.takes_lists and isinstance(payload, list):
                yield from payload
            else:
                yield payload

    def _store(self, items: Sequence[Derived]) -> None:
        recorded = record_derived(self._db, self._tenant, items, self._received_ticks, None, _NO_REPETITIONS_MS)
        self.fed.created += len(recorded.new)
        self.fed.merged += recorded.merged
        self.fed.ignored += recorded.unchanged
