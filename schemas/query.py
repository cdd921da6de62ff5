"""The query strings a client may send, and the frozen query objects that the store answers."""

from dataclasses import dataclass
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, validate

from notifhist.schemas import logs
from notifhist.schemas.fields import (
    INT32,
    INT64,
    Instant,
    PathId,
    QueryChoices,
    QueryInstant,
    QueryInteger,
    QueryList,
    Text,
    TimeUuid,
    between_commas,
)
from notifhist.schemas.runs import FAILED_REASONS, IGNORED_REASONS, MEDIUMS, NOTIFICATION_TYPES, STATUSES

LIMIT = (1, 1000)
"""How many items a page may have."""
PAGE_SIZE = (1, 1000)
"""How many runs or logs a page may have."""
MAX_VALUES = PAGE_SIZE[1]
"""How many values a filter by an open vocabulary takes: as many as a page has runs, whose logs are wanted."""
TIME = "ms since the epoch, or an ISO date and time, inclusive; a date alone"
_BOOLEAN: dict[str, Any] = {"invalid": "Must be true or false."}


@dataclass(frozen=True)
class Tenant:
    """A tenant, and the base class of all owners."""

    tenant: str


@dataclass(frozen=True)
class EntityPath(Tenant):
    """An entity of a tenant."""

    entity_id: str


@dataclass(frozen=True)
class AlarmPath(EntityPath):
    """An alarm of an entity."""

    alarm_id: str


@dataclass(frozen=True)
class CheckPath(AlarmPath):
    """A check on which notifications of an alarm occurred: the owner of a series of items."""

    check_id: str


@dataclass(frozen=True, kw_only=True)
class TimeSeriesQuery:
    """A page of a time series. Times: ms since the epoch, UTC, both inclusive."""

    from_ms: int
    to_ms: int
    limit: int
    marker: str | None = None
    reverse: bool = False


@dataclass(frozen=True)
class RegisterQuery:
    """A page of what has history below `owner`, by id: from the id `marker` on, sorted by code point."""

    owner: Tenant
    limit: int
    marker: str | None = None
    reverse: bool = False


@dataclass(frozen=True)
class HistoryQuery(TimeSeriesQuery):
    """A page of a check's items."""

    check: CheckPath


@dataclass(frozen=True)
class ItemLogsQuery(TimeSeriesQuery):
    """A page of a tenant's changelogs, or of its suppression logs. None filters nothing."""

    tenant: str
    entity_id: str | None = None


@dataclass(frozen=True)
class PageQuery:
    """A page, by number, of a tenant's records of one resource. None filters nothing; times as in HistoryQuery."""

    tenant: str
    search_query: str = ""
    include_objects: bool = False
    """True: whole documents; False: their brief form."""
    from_ms: int | None = None
    until_ms: int | None = None
    page_size: int = 250
    page: int = 0
    descending: bool = True


@dataclass(frozen=True)
class RunsQuery(PageQuery):
    """A page of runs. An empty tuple filters nothing."""

    notification_types: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    mediums: tuple[str, ...] = ()
    ignored_reasons: tuple[str, ...] = ()
    failed_reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class LogsQuery(PageQuery):
    """A page of logs. An empty tuple filters nothing."""

    notification_run_ids: tuple[int, ...] = ()
    notification_types: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    recipient_types: tuple[str, ...] = ()
    recipient_emails: tuple[str, ...] = ()
    recipient_entity_ids: tuple[int, ...] = ()
    recipient_channels: tuple[str, ...] = ()
    mediums: tuple[str, ...] = ()
    ignored_reasons: tuple[str, ...] = ()
    failed_reasons: tuple[str, ...] = ()


class QuerySchema(Schema):
    """A query string: parameters that it does not name are ignored."""

    class Meta:
        unknown = EXCLUDE


class HistoryQuerySchema(QuerySchema):
    """The query string of a list of items."""

    from_ = QueryInstant(data_key="from", metadata={"description": f"{TIME} begins its day"})
    to = QueryInstant(ends_day=True, metadata={"description": f"{TIME} ends its day; now, if not given"})
    limit = QueryInteger(bounds=LIMIT)
    marker = TimeUuid(metadata={"description": "the id of the first item of the page, from `next_marker`"})
    reverse = fields.Boolean(error_messages=_BOOLEAN, metadata={"description": "true: newest first"})


class ChangelogsQuerySchema(HistoryQuerySchema):
    """The query string of the changelogs."""

    entity_id = PathId(data_key="entityId", metadata={"description": "changes of this entity's alarms alone"})


class RegisterQuerySchema(QuerySchema):
    """The query string of a list of what has history."""

    limit = QueryInteger(bounds=LIMIT)
    marker = PathId(metadata={"description": "the id to begin the page at, from `next_marker`"})
    reverse = fields.Boolean(error_messages=_BOOLEAN, metadata={"description": "true: the last id first"})


class PageQuerySchema(QuerySchema):
    """The parameters of all pages by number."""

    from_ms = Instant(data_key="fromDate", metadata={"description": "inclusive; a date alone begins its day"})
    until_ms = Instant(
        data_key="untilDate", ends_day=True, metadata={"description": "inclusive; a date alone ends its day"}
    )
    page_size = QueryInteger(data_key="pageSize", bounds=PAGE_SIZE)
    page = QueryInteger(bounds=(0, INT32[1]))
    order_by = fields.String(data_key="orderBy", validate=validate.OneOf(("ASC", "DESC")))


class RunsQuerySchema(PageQuerySchema):
    """The query string of the runs."""

    notification_types = QueryChoices(NOTIFICATION_TYPES, data_key="notificationTypes")
    statuses = QueryChoices(STATUSES)
    mediums = QueryChoices(MEDIUMS)
    ignored_reasons = QueryChoices(IGNORED_REASONS, data_key="ignoredReasons")
    failed_reasons = QueryChoices(FAILED_REASONS, data_key="failedReasons")
    search_query = Text(
        data_key="searchQuery",
        without_nul=True,
        metadata={"description": "part of the error message, the summary, or an object's name or tag"},
    )
    include_objects = fields.Boolean(data_key="includeObjects", error_messages=_BOOLEAN)


def _open_list(values: fields.Field[Any], data_key: str) -> QueryList:
    """Return the filter by values of an open vocabulary."""
    at_most = validate.Length(max=MAX_VALUES, error="More than {max} values.")
    return QueryList(values, split=between_commas, data_key=data_key, validate=at_most)


class LogsQuerySchema(PageQuerySchema):
    """The query string of the logs."""

    notification_run_ids = _open_list(QueryInteger(bounds=INT64), "notificationRunIds")
    notification_types = QueryChoices(NOTIFICATION_TYPES, data_key="notificationTypes")
    statuses = QueryChoices(logs.STATUSES)
    recipient_types = QueryChoices(logs.RECIPIENT_TYPES, data_key="recipientTypes")
    recipient_emails = _open_list(Text(without_nul=True), "recipientEmails")
    recipient_entity_ids = _open_list(QueryInteger(bounds=INT64), "recipientEntityIds")
    recipient_channels = _open_list(Text(without_nul=True), "recipientChannels")
    mediums = QueryChoices(MEDIUMS)
    ignored_reasons = QueryChoices(logs.IGNORED_REASONS, data_key="ignoredReasons")
    failed_reasons = QueryChoices(logs.FAILED_REASONS, data_key="failedReasons")


HISTORY_QUERY = HistoryQuerySchema()
REGISTER_QUERY = RegisterQuerySchema()
CHANGELOGS_QUERY = ChangelogsQuerySchema()
RUNS_QUERY = RunsQuerySchema()
LOGS_QUERY = LogsQuerySchema()
