"""The drafts of a file's records, with all texts rendered."""

from collections.abc import Iterable
from typing import NamedTuple

from notifhist.errors import BadRequest
from notifhist.store.resources import RECORDERS
from notifhist.store.staging import Line
from notifhist.transfer.files import BadRecord, Record


class Drafted(NamedTuple):
    """Drafts of the valid records with their lines, and the bad records; each in the order of the file."""

    lines: list[Line]
    bad: list[BadRecord]


def make_drafts(records: Iterable[Record | BadRecord], now_ticks: int) -> Drafted:
    """Return the drafts of the records; a run or log without a date gets `now_ticks` (100 ns since the epoch)."""
    drafted = Drafted([], [])
    for record in records:
        if isinstance(record, BadRecord):
            drafted.bad.append(record)
            continue
        draft = RECORDERS[record.resource.name].draft(record.owner, record.document, now_ticks)
        try:
            draft.render()
        except BadRequest as error:
            drafted.bad.append(BadRecord(record.line, str(error)))
        else:
            drafted.lines.append((record.line, draft))
    return drafted
