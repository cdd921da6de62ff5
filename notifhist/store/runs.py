"""The notification runs of a tenant. Contract: docs/contract.md, "Notification runs" and "Recording"."""

from notifhist.errors import RunConflict
from notifhist.schemas.document import Document
from notifhist.schemas.resources import RUN_RESOURCE
from notifhist.schemas.runs import FAILED_REASONS, IGNORED_REASONS, MEDIUMS, NOTIFICATION_TYPES, RUN, STATUSES
from notifhist.schemas.writing import write
from notifhist.serializers import as_json
from notifhist.store.counted.records import CountedRecorder, Loaded
from notifhist.store.counted.table import CountedRow, CountedTable, Filter

TABLE = CountedTable(
    "notification_run",
    (
        Filter("notification_type", "notification_types", NOTIFICATION_TYPES),
        Filter("status", "statuses", STATUSES),
        Filter("medium", "mediums", MEDIUMS),
        Filter("ignored_reason", "ignored_reasons", IGNORED_REASONS),
        Filter("failed_reason", "failed_reasons", FAILED_REASONS),
    ),
    ("failed_reason", "ignored_reason", "notification_type", "status", "medium"),
)

_BETWEEN_TEXTS = "X"
"""No case-folded text has an upper-case letter, so no searched text matches across two texts."""
_OBJECTS = "notificationObjects"


def row_of(run: Loaded) -> CountedRow:
    """Return the row of a run that has all its members."""
    document = write(RUN, run)
    return CountedRow(
        id=run["id"],
        date_created=run["date_created"],
        codes=TABLE.codes_of(run),
        search_text=_search_text(run),
        brief=_brief(document),
        document=as_json.text(document),
    )


def _brief(document: Document) -> str | None:
    """Return the run without its objects; None if it has none."""
    if _OBJECTS not in document:
        return None
    return as_json.text({name: value for name, value in document.items() if name != _OBJECTS})


def _search_text(run: Loaded) -> str:
    texts = [run["error_message"], run["summary"]]
    for about in run["notification_objects"] or ():
        texts += [about["name"], about.get("tag")]
    return _BETWEEN_TEXTS.join(text.casefold() for text in texts if text)


RUN_RECORDER = CountedRecorder(RUN_RESOURCE, TABLE, row_of, RunConflict, {"delivered_count": 0, "seq_no": 0})
