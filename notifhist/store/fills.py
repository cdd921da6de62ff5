"""Fills: what a version must do with all that is stored, after its migrations and before it serves.

A migration is one transaction: over millions of records it would take minutes, and an interruption would undo it all. A
fill works in batches. Each is a transaction, which also stores in `meta` where the next one begins.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from notifhist.store.database import Database
from notifhist.store.deliveries import fill as fill_deliveries
from notifhist.store.meta import get_meta, set_meta

BATCH_RECORDS = 1000
"""About how many records a batch should work on; other writers wait for it."""

Show = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
"""Shows the progress of a title's records, so many of which are to be done; yields what takes note of records done."""


@dataclass(frozen=True)
class Fill:
    """A fill. Databases remember its `name`, so no other one may ever have that.

    `step(db, position, batch)` works on about `batch` records from `position` on (None: from the beginning), in the
    transaction that it is called in. It returns the position of the next batch, None after the last one, and how many
    records it has done. `count` returns how many there are in all, for the progress bar.
    """

    name: str
    step: Callable[[Database, str | None, int], tuple[str | None, int]]
    count: Callable[[Database], int]


FILLS: tuple[Fill, ...] = (Fill("deliveries", fill_deliveries.step, fill_deliveries.count),)
"""All fills, in order. They run after all migrations, so each reads the tables as the newest one leaves them."""


class _State(NamedTuple):
    """How far a fill is: the position of the next batch, how many records are done, and whether it is finished."""

    position: str | None = None
    done: int = 0
    is_finished: bool = False


@contextmanager
def silently(title: str, total: int) -> Iterator[Callable[[int], object]]:
    """Show nothing; see Show."""
    yield lambda done: None


def run_fills(db: Database, show: Show = silently) -> list[str]:
    """Finish the fills, together with other hosts that do, and return the names of those that were not finished.

    The tables are up to date. Whatever ends it, what is done stays done, and the next call goes on from there.
    """
    return [fill.name for fill in FILLS if _finish(db, fill, show)]


def pending_fills(db: Database) -> list[str]:
    """Return the names of the fills that are not finished. Before there are tables, there is nothing to fill."""
    if not FILLS or "meta" not in db.get_tables():
        return []
    return [fill.name for fill in FILLS if not _state_of(db, fill).is_finished]


def finish_all(db: Database) -> None:
    """Note that a database whose tables are new needs none of the fills, in the transaction that makes the tables."""
    for fill in FILLS:
        _set_state(db, fill, _State(is_finished=True))


def _finish(db: Database, fill: Fill, show: Show) -> bool:
    """Run the batches of a fill that are left; return whether there were any."""
    state = _state_of(db, fill)
    is_pending = not state.is_finished
    if is_pending:
        with show(f"Filling {fill.name}", max(fill.count(db) - state.done, 0)) as report:
            while not state.is_finished:
                done_before = state.done
                state = _next_batch(db, fill)
                report(state.done - done_before)
    return is_pending


def _next_batch(db: Database, fill: Fill) -> _State:
    """Run a batch, unless another host has finished the fill meanwhile; return how far the fill is then."""
    with db.pausing_after(), db.migrating():
        state = _state_of(db, fill)
        if state.is_finished:
            return state
        position, done = fill.step(db, state.position, BATCH_RECORDS)
        state = _State(position, state.done + done, position is None)
        _set_state(db, fill, state)
        return state


def _state_of(db: Database, fill: Fill) -> _State:
    value = get_meta(db, _name_in_meta(fill))
    return _State() if value is None else _State(*orjson.loads(value))


def _set_state(db: Database, fill: Fill, state: _State) -> None:
    set_meta(db, _name_in_meta(fill), orjson.dumps(list(state)).decode())


def _name_in_meta(fill: Fill) -> str:
    return f"fill {fill.name}"


class FillsSeen:
    """Whether all fills are finished, as one process knows: once it has seen that, it does not look again."""

    def __init__(self) -> None:
        self._are_finished = False

    def pending(self, db: Database) -> list[str]:
        """Return the names of the fills that are not finished."""
        if self._are_finished:
            return []
        pending = pending_fills(db)
        self._are_finished = not pending
        return pending
