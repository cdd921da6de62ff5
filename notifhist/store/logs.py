"""The notification logs of a tenant. Contract: docs/contract.md, "Notification logs" and "Recording"."""

from notifhist.errors import LogConflict
from notifhist.schemas.logs import FAILED_REASONS, IGNORED_REASONS, LOG, RECIPIENT_TYPES, STATUSES
from notifhist.schemas.resources import LOG_RESOURCE
from notifhist.schemas.runs import MEDIUMS, NOTIFICATION_TYPES
from notifhist.schemas.writing import write
from notifhist.serializers import as_json
from notifhist.store.counted.records import CountedRecorder, Loaded
from notifhist.store.counted.table import CountedRow, CountedTable, Filter, IndexedFilter

TABLE = CountedTable(
    "notification_log",
    (
        Filter("type", "notification_types", NOTIFICATION_TYPES),
        Filter("status", "statuses", STATUSES),
        Filter("recipient_type", "recipient_types", RECIPIENT_TYPES),
        Filter("medium", "mediums", MEDIUMS),
        Filter("ignored_reason", "ignored_reasons", IGNORED_REASONS),
        Filter("failed_reason", "failed_reasons", FAILED_REASONS),
    ),
    ("failed_reason", "ignored_reason", "type", "status", "recipient_type", "medium"),
    (
        IndexedFilter("run_id", "notification_run_ids"),
        IndexedFilter("recipient_email", "recipient_emails"),
        IndexedFilter("recipient_entity_id", "recipient_entity_ids"),
        IndexedFilter("recipient_channel", "recipient_channels"),
    ),
    is_searched=False,
)


def row_of(log: Loaded) -> CountedRow:
    """Return the row of a log that has all its members."""
    return CountedRow(
        id=log["id"],
        date_created=log["date_created"],
        codes=TABLE.codes_of(log),
        document=as_json.text(write(LOG, log)),
        indexed=TABLE.indexed_of(log),
    )


LOG_RECORDER = CountedRecorder(LOG_RESOURCE, TABLE, row_of, LogConflict, {})
