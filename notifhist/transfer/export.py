"""Write everything that is kept as NDJSON, in flat memory."""

from collections.abc import Iterator

from notifhist.schemas.bulk import ITEM_LINE, RUN_LINE
from notifhist.serializers import as_json
from notifhist.store.database import Database
from notifhist.store.history import reading as history
from notifhist.store.runs import recording as runs


def export_lines(db: Database) -> Iterator[bytes]:
    """Yield a line for each item, expired or not, and then for each run; `notifhist load` reads them back."""
    for check, item in history.all_items(db):
        yield as_json.render({**vars(check), "item": item}, ITEM_LINE) + b"\n"
    for tenant, run in runs.all_runs(db):
        yield as_json.render({"tenant": tenant, "run": run}, RUN_LINE) + b"\n"


def count_lines(db: Database) -> int:
    """Return how many lines an export has at the moment."""
    return history.count_items(db) + runs.count_runs(db)
