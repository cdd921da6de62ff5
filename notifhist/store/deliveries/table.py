"""The description of the deliveries' tables: which filters there are, and what is counted together."""

from notifhist.config import MS_PER_DAY
from notifhist.schemas.deliveries import OUTCOMES
from notifhist.schemas.fields import TICKS_PER_MS
from notifhist.store.counted.table import Counted, Filter, levels_of
from notifhist.store.database import Table

OUTCOME = Filter("outcome", "outcomes", OUTCOMES)
RECEIVER = Filter("receiver", "", paired_with=("outcome",), is_counted_alone=False)
NAMED = (
    Filter("state", "states"),
    Filter("notification_type", "notification_types"),
    Filter("notification_id", "notification_ids"),
    Filter("notification_plan_id", "notification_plan_ids"),
    Filter("entity_id", "entity_ids"),
    RECEIVER,
)
"""The filters whose values are names, which `names` gives codes."""

DELIVERIES = Counted(
    "delivery",
    (OUTCOME, *NAMED),
    # Of days, quarters of an hour and minutes the intervals of counts are made. Shorter ones would cost more than they
    # give: the results of an item are all of one millisecond.
    levels=levels_of(16 * MS_PER_DAY, MS_PER_DAY, 3 * 3_600_000, 900_000, 60_000),
    time="ticks",
    units_per_ms=TICKS_PER_MS,
    code_bits=40,
    # With up to 2000 a day, half of the count rows; an index counts 2000 in some 0.2 ms.
    coarseness=2,
    names="delivery_name",
)

_COLUMNS = {
    "tenant_id": "bigint",
    "ticks": "bigint",
    "clock_and_node": "bigint",
    "series_id": "bigint",
    "item_clock_and_node": "bigint",
    "log_clock_and_node": "bigint",
    "is_change": "integer",
    "is_suppressed": "integer",
    **dict.fromkeys(DELIVERIES.codes, "bigint"),
    "transaction_hash": "bigint",
    "search_text": "text",
    "document": "text",
    "log_members": "text",
}
COLUMNS = tuple(_COLUMNS)
"""The columns of both tables, in their order."""
RECENT = Table(
    "delivery_recent", _COLUMNS, ("tenant_id", "ticks", "clock_and_node", "series_id", "item_clock_and_node")
)
IS_OF_ITEM = """tenant_id = :tenant_id AND ticks = :ticks AND series_id = :series_id
    AND item_clock_and_node = :clock_and_node"""
"""The condition for the deliveries of an item."""
