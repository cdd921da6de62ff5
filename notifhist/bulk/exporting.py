"""Write everything that is kept as NDJSON, in flat memory."""

from collections.abc import Iterator

import orjson

from notifhist.database import Database
from notifhist.queries import history, runs
from schemas.bulk import RUN_LINE


def export_lines(db: Database) -> Iterator[bytes]:
    """Yield a line for each item, expired or not, and then for each run; `notifhist load` reads them back."""
    for stored in history.all_items(db):
        check = stored.check
        # Not dumped by the schema: the item is already as it was recorded.
        line = {
            "tenant": check.tenant,
            "entity_id": check.entity_id,
            "alarm_id": check.alarm_id,
            "check_id": check.check_id,
            "item": stored.document,
        }
        yield orjson.dumps(line) + b"\n"
    for tenant, run in runs.all_runs(db):
        yield orjson.dumps(RUN_LINE.dump({"tenant": tenant, "run": run})) + b"\n"


def count_lines(db: Database) -> int:
    """Return how many lines an export has at the moment."""
    return history.count_items(db) + runs.count_runs(db)
