"""The query strings about deliveries, and the frozen query object that the store answers."""

from dataclasses import dataclass

from marshmallow import fields, validate

from notifhist.schemas.deliveries import OUTCOMES
from notifhist.schemas.fields import QueryChoices, QueryInstant, QueryTexts, Text
from notifhist.schemas.query import TIME, HistoryQuerySchema, QuerySchema

COUNTED_BY = ("outcome", "state", "notification_type", "notification_id")
"""What deliveries may be counted by."""
INTERVALS_MS = {
    **{f"{n}m": n * 60_000 for n in (1, 5, 15, 30)},
    **{f"{n}h": n * 3_600_000 for n in (1, 3, 6, 12)},
    **{f"{n}d": n * 86_400_000 for n in (1, 2, 7, 30, 90, 365)},
}
"""The lengths that the buckets of counts may have, the shortest first."""
_REPEATED = {"description": "may be repeated; a comma is a part of the value"}


@dataclass(frozen=True)
class DeliveriesQuery:
    """A tenant's deliveries. An empty tuple filters nothing; times: ms since the epoch, UTC, both inclusive."""

    tenant: str
    from_ms: int
    to_ms: int
    limit: int | None = None
    """None: all of them."""
    marker: str | None = None
    reverse: bool = False
    outcomes: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    notification_types: tuple[str, ...] = ()
    notification_ids: tuple[str, ...] = ()
    notification_plan_ids: tuple[str, ...] = ()
    entity_ids: tuple[str, ...] = ()
    alarm_ids: tuple[str, ...] = ()
    check_ids: tuple[str, ...] = ()
    transaction_ids: tuple[str, ...] = ()
    search_query: str = ""


class DeliveryFiltersSchema(QuerySchema):
    """The part of a query string that says which deliveries are meant."""

    from_ = QueryInstant(data_key="from", metadata={"description": f"{TIME} begins its day"})
    to = QueryInstant(ends_day=True, metadata={"description": f"{TIME} ends its day; now, if not given"})
    outcomes = QueryChoices(OUTCOMES, data_key="outcome")
    states = QueryTexts(commas=True, data_key="state")
    notification_types = QueryTexts(commas=True, data_key="notification_type")
    notification_ids = QueryTexts(data_key="notification_id", metadata=_REPEATED)
    notification_plan_ids = QueryTexts(data_key="notification_plan_id", metadata=_REPEATED)
    entity_ids = QueryTexts(data_key="entity_id", metadata=_REPEATED)
    alarm_ids = QueryTexts(data_key="alarm_id", metadata=_REPEATED)
    check_ids = QueryTexts(data_key="check_id", metadata=_REPEATED)
    transaction_ids = QueryTexts(data_key="transaction_id", metadata=_REPEATED)
    search_query = Text(
        data_key="q",
        without_nul=True,
        metadata={"description": "part of the status, the target, the notification_id, or a message, an attempt's too"},
    )


class DeliveriesQuerySchema(HistoryQuerySchema, DeliveryFiltersSchema):
    """The query string of a list of deliveries."""

    rows = fields.String(
        validate=validate.OneOf(("deliveries", "attempts")),
        metadata={
            "description": "`attempts`: in CSV and NDJSON a row for each attempt, with `attempt` (from 1), "
            "`attempt_message` and `attempt_from`; one row where there is no attempt"
        },
    )


class CountsQuerySchema(DeliveryFiltersSchema):
    """The query string of counts by time."""

    by = fields.String(validate=validate.OneOf(COUNTED_BY))
    interval = fields.String(
        validate=validate.OneOf(tuple(INTERVALS_MS)),
        metadata={"description": "the shortest of which there are at most 60, if not given"},
    )


DELIVERIES_QUERY = DeliveriesQuerySchema()
DELIVERY_FILTERS = DeliveryFiltersSchema()
COUNTS_QUERY = CountsQuerySchema()
