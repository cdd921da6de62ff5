"""A query string as the frozen query object that the store answers."""

from functools import lru_cache
from typing import Any, TypeVar

from marshmallow import Schema, ValidationError, fields
from werkzeug.datastructures import MultiDict

from notifhist.clock import Clock
from notifhist.config import Settings
from notifhist.errors import BadRequest, InvalidLimit, name_problems
from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.schemas.document import member_fields
from notifhist.schemas.fields import MAX_TIMESTAMP
from notifhist.schemas.query import (
    HISTORY_QUERY,
    REGISTER_QUERY,
    CheckPath,
    HistoryQuery,
    ItemLogsQuery,
    PageQuery,
    RegisterQuery,
    Tenant,
)

Args = MultiDict[str, str]
Query = TypeVar("Query", bound=PageQuery)


def deliveries_query(
    schema: Schema, tenant: str, args: Args, settings: Settings, clock: Clock
) -> tuple[DeliveriesQuery, dict[str, Any]]:
    """Return the query of deliveries whose parameters `schema` names, and the other parameters that are given.

    Without `limit` it has none, and it is about no time that an id cannot have. Raises as `_in_window`.
    """
    return deliveries_asked(tenant, _in_window(schema, args, settings, clock))


def deliveries_asked(tenant: str, others: dict[str, Any]) -> tuple[DeliveriesQuery, dict[str, Any]]:
    """Return the query that loaded parameters with a window mean, and those that are not of it."""
    query = {name: others.pop(name) for name in DeliveriesQuery.__dataclass_fields__ if name in others}
    within = {"from_ms": max(query["from_ms"], 0), "to_ms": min(query["to_ms"], MAX_TIMESTAMP)}
    return DeliveriesQuery(tenant, **query | within), others


def history_query(check: CheckPath, args: Args, settings: Settings, clock: Clock) -> HistoryQuery:
    """Return the query of a list of items. Raises as `_time_series`."""
    return HistoryQuery(check, **_time_series(HISTORY_QUERY, args, settings, clock))


def item_logs_query(schema: Schema, tenant: str, args: Args, settings: Settings, clock: Clock) -> ItemLogsQuery:
    """Return the query of a list of changelogs or suppression logs. Raises as `_time_series`."""
    return ItemLogsQuery(tenant, **_time_series(schema, args, settings, clock))


def _time_series(schema: Schema, args: Args, settings: Settings, clock: Clock) -> dict[str, Any]:
    """Return what a query string asks of a time series, as attributes of a TimeSeriesQuery. Raises as `_in_window`."""
    return {"limit": settings.default_limit, **_in_window(schema, args, settings, clock)}


def _in_window(schema: Schema, args: Args, settings: Settings, clock: Clock) -> dict[str, Any]:
    """Return the parameters that `schema` names, and the time that they mean as `from_ms` and `to_ms`.

    Raises InvalidLimit, or BadRequest naming every other parameter that does not fit.
    """
    query = _loaded(schema, args)
    to_ms = query.pop("to", clock.now_ms())
    from_ms = query.pop("from_", to_ms - settings.query_window_ms)
    return {**query, "from_ms": from_ms, "to_ms": to_ms}


def register_query(owner: Tenant, args: Args, settings: Settings) -> RegisterQuery:
    """Return the query of a list of what has history. Raises as `history_query`."""
    query = _loaded(REGISTER_QUERY, args)
    return RegisterQuery(owner, **{"limit": settings.default_limit, **query})


def _loaded(schema: Schema, args: Args) -> dict[str, Any]:
    """Return the parameters that `schema` names, as it loads them; lists are tuples, as query objects have them."""
    try:
        return validated(schema, args)
    except ValidationError as error:
        kind = InvalidLimit if "limit" in error.messages_dict else BadRequest
        raise kind(details=name_problems(_in_words(error.messages_dict))) from None


def validated(schema: Schema, args: Args) -> dict[str, Any]:
    """Return the parameters as `_loaded` does. Raises ValidationError, with the problems by parameter."""
    if not (named := _named(args, schema)):
        return {}
    loaded: dict[str, Any] = _only(type(schema), frozenset(named)).load(named)
    return {name: tuple(value) if isinstance(value, list) else value for name, value in loaded.items()}


def problems_of(schema: Schema, args: Args) -> dict[str, str]:
    """Return what is wrong with the parameters that `schema` names, by their names; none if they all fit."""
    return _in_words(schema.validate(_named(args, schema)))


@lru_cache(maxsize=1024)
def _only(schema_type: type[Schema], parameters: frozenset[str]) -> Schema:
    """Return a schema of some parameters: marshmallow takes 4 µs for each that is not given."""
    members = schema_type().fields
    return schema_type(only=[name for name, field in members.items() if (field.data_key or name) in parameters])


def page_query(schema: Schema, query_type: type[Query], tenant: str, args: Args) -> Query:
    """Return the query of a page by number; the fields of `schema` are the attributes of `query_type`.

    Raises BadRequest naming all parameters that do not fit.
    """
    query = _loaded(schema, args)
    descending = query.pop("order_by", "DESC") == "DESC"
    return query_type(tenant, **query, descending=descending)


def _named(args: Args, schema: Schema) -> dict[str, Any]:
    """Return the parameters that `schema` names: lists of all values for lists, else the first value.

    `statuses[]` and `statuses[0]` are the list `statuses`; `page[]` is `page`, unless that is given too.
    """
    parameters = member_fields(schema)
    named: dict[str, Any] = {}
    for parameter, values in args.lists():
        name, bracket, _ = parameter.partition("[")
        field = parameters.get(name)
        if isinstance(field, fields.List):
            named.setdefault(name, []).extend(values)
        elif field is not None and (not bracket or name not in args):
            named[name] = values[0]
    return named


def _in_words(problems: dict[str, list[str]]) -> dict[str, str]:
    """Return marshmallow's messages as one text for each parameter."""
    return {name: " ".join(messages) for name, messages in problems.items()}
