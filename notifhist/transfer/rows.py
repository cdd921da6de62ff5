"""What records become before they are stored: rows with all that is kept of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from notifhist.errors import BadRequest
from notifhist.schemas.document import Document, dump
from notifhist.schemas.item_ids import complete, key_of
from notifhist.schemas.query import CheckPath
from notifhist.schemas.runs import RUN
from notifhist.store.bulk import ItemRow, RunRow
from notifhist.store.history.recording import texts_of
from notifhist.store.runs import recording as runs
from notifhist.transfer.files import BadRecord, Record, Tenant

_RUN_NAMES = {field.data_key or name: name for name, field in RUN.fields.items()}
"""What `load` calls each member of a run."""


@dataclass
class Prepared:
    """Rows of sound records, and the bad ones; of each kind in the order of the file."""

    items: list[ItemRow] = field(default_factory=list)
    runs: list[RunRow] = field(default_factory=list)
    bad: list[BadRecord] = field(default_factory=list)


def prepare(records: Iterable[Record | BadRecord], now_ms: int) -> Prepared:
    """Return what is to be stored of the records; a run without a date gets `now_ms`."""
    prepared = Prepared()
    for record in records:
        if isinstance(record, BadRecord):
            prepared.bad.append(record)
        elif isinstance(record.place, Tenant):
            prepared.runs.append(_run_row(record.line, record.place.tenant, record.document, now_ms))
        else:
            try:
                prepared.items.append(_item_row(record.line, record.place, record.document))
            except BadRequest as error:
                prepared.bad.append(BadRecord(record.line, str(error)))
    return prepared


def _item_row(line: int, check: CheckPath, document: Document) -> ItemRow:
    whole = complete(document)
    key = key_of(whole["id"])
    return ItemRow(line, check, key.ticks, key.clock_and_node, *texts_of(whole))


def _run_row(line: int, tenant: str, run: runs.Run, now_ms: int) -> RunRow:
    whole = runs.filled(run, None, now_ms)
    document = dump(RUN, whole)
    filled = [member for member, name in _RUN_NAMES.items() if member in document and name not in run]
    return RunRow(line, tenant, " ".join(filled), runs.row_of(whole, document))
