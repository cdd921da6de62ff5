"""Write everything that is stored as NDJSON, in flat memory."""

from collections.abc import Iterator

from notifhist.serializers import as_json
from notifhist.store.database import Database
from notifhist.store.resources import RECORDERS


def export_lines(db: Database) -> Iterator[bytes]:
    """Yield a line for each record, resource by resource, expired ones too; `notifhist load` reads them back."""
    for recorder in RECORDERS.values():
        resource = recorder.resource
        for owner, document in recorder.all(db):
            yield as_json.render({**vars(owner), resource.name: document}, resource.line) + b"\n"


def count_lines(db: Database) -> int:
    """Return how many lines an export has at the moment."""
    return sum(recorder.count(db) for recorder in RECORDERS.values())
