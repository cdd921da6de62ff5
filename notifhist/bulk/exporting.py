"""Write everything that is kept as NDJSON, in flat memory."""

from collections.abc import Iterator

import orjson

from notifhist.database import Database
from notifhist.queries import history, runs
from schemas.bulk import RUN_LINE


def export_lines(db: Database) -> Iterator[bytes]:
    """Yield a line for each item, expired or not, and then for each run; `notifhist load` reads them back."""
    for check, item in history.all_items(db):
        # Not dumped by the schema: the item is already as it was recorded.
        line = {**vars(check), "item": item}
        yield orjson.dumps(line) + b"\n"
    for tenant, run in runs.all_runs(db):
        yield orjson.dumps(RUN_LINE.dump({"tenant": tenant, "run": run})) + b"\n"


def count_lines(db: Database) -> int:
    """Return how many lines an export has at the moment."""
    return history.count_items(db) + runs.count_runs(db)
