"""The query strings of pages about deliveries: those of the API, with other defaults and a few words more."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import fields, validate
from werkzeug.datastructures import MultiDict

from notifhist.config import MS_PER_DAY
from notifhist.schemas.delivery_queries import DeliveriesQuery, DeliveriesQuerySchema
from notifhist.schemas.document import member_fields
from notifhist.schemas.instants import format_instant, parse_instant
from notifhist.web.context import caller, current_service
from notifhist.web.params import Args, deliveries_asked, problems_of, validated

SINCE_MS = {"24h": MS_PER_DAY, "7d": 7 * MS_PER_DAY, "30d": 30 * MS_PER_DAY}
"""The spans of time that a page looks back, by their words; the first one if none is given."""
LAST_MONTH = "month"
"""The word for the calendar month before this one."""
SPANS = (*SINCE_MS, LAST_MONTH)
"""The words for a time that a page offers."""
SHOWN = "shown"
"""The parameter by which a form says that it shows `from` in place of a span."""
PER_PAGE = (50, 100, 250, 1000)
DEFAULTS = {"since": "24h", "reverse": "true", "tz": "utc", "live": "0", "rows": "deliveries"}
"""What a page shows where a parameter is not given. `limit` is that of the API."""
FILTERS = (
    *("outcome", "notification_type", "notification_id", "entity_id", "alarm_id", "state", "q", "check_id"),
    *("notification_plan_id", "transaction_id"),
)
"""The parameters that choose among the deliveries of a time."""

_FOLDED = {*FILTERS, "limit"} - {"outcome", "q"}
"""The parameters that the form shows when it is unfolded."""


class DeliveriesPageSchema(DeliveriesQuerySchema):
    """The query string of the list of deliveries."""

    since = fields.String(validate=validate.OneOf(tuple(SINCE_MS)))
    tz = fields.String(validate=validate.OneOf(("utc", "local")))
    live = fields.String(validate=validate.OneOf(("0", "1")))


_SCHEMA = DeliveriesPageSchema()


@dataclass(frozen=True)
class Asked:
    """What a page was asked for.

    `given` are the parameters as they came, less those that say nothing. Where `problems` has any, by parameter,
    `query` is None.
    """

    given: MultiDict[str, str]
    query: DeliveriesQuery | None
    others: Mapping[str, Any]
    problems: Mapping[str, str]
    usual_since: str
    """The span if none is given."""

    @property
    def filters(self) -> dict[str, list[str]]:
        """The filters that are given, with their values."""
        return {name: self.given.getlist(name) for name in FILTERS if name in self.given}

    @property
    def without_filters(self) -> dict[str, None]:
        """The changes that take all filters away."""
        return dict.fromkeys(self.filters)

    @property
    def has_more_filters(self) -> bool:
        """Whether one is given, or wrong, that the form does not show at first."""
        return not {*self.given, *self.problems}.isdisjoint(_FOLDED)

    @property
    def since(self) -> str:
        """The span that is shown; "" if `from` takes its place."""
        return "" if "from" in self.given else self.given.get("since", self.usual_since)

    @property
    def number_of_filters(self) -> int:
        """How many filters are at work; the time is one."""
        return len(self.filters) + (not {"since", "from", "to"}.isdisjoint(self.given))

    def picked(self, name: str) -> str | None:
        """Return a time as `<input type="datetime-local">` has it, "" for none; None if it cannot show the time."""
        if name not in self.given:
            return ""
        try:
            ms = parse_instant(self.given[name], ends_day=name == "to")
        except ValueError:
            return None
        text = format_instant(ms).removesuffix("Z").removesuffix(".000").removesuffix(":00")
        return text if text >= "1970" else None

    @property
    def is_live(self) -> bool:
        """Whether the page is to show what comes: the first page alone does."""
        return self.others.get("live") == "1" and self.is_of_now and "marker" not in self.given

    @property
    def is_of_now(self) -> bool:
        """Whether the time ends now."""
        return "to" not in self.given

    def link(self, **changed: object) -> dict[str, Any]:
        """Return the parameters of this page with others changed, None: left out; the page begins at its beginning."""
        kept: dict[str, Any] = {name: values for name, values in self.given.lists() if name != "marker"}
        return {name: value for name, value in {**kept, **changed}.items() if value is not None}

    def absolute(self) -> dict[str, Any]:
        """Return the parameters that show the same tomorrow: with the times that the page is about, and its marker."""
        if self.query is None:
            return self.link()
        window = {"from": self.query.from_ms, "to": self.query.to_ms}
        return self.link(**window, since=None, live=None, marker=self.given.get("marker"))


def asked(args: Args, since: str = DEFAULTS["since"]) -> Asked:
    """Return what the query string asks for. It raises nothing: a page shows what is wrong with it.

    If it names no `from` and no span, it is about the span `since`. A span ends at `to`, else now.
    """
    given = _that_say_something(args, since)
    if problems := problems_of(_SCHEMA, given):
        return Asked(given, None, {}, problems, since)
    loaded = validated(_SCHEMA, given)
    to_ms = loaded.pop("to", current_service().clock.now_ms())
    from_ms = loaded.pop("from_", to_ms - SINCE_MS[loaded.pop("since", since)])
    loaded = {"reverse": True, **loaded, "from_ms": from_ms, "to_ms": to_ms}
    query, others = deliveries_asked(caller().tenant, loaded)
    return Asked(given, query, others, {}, since)


def is_tidy(args: Args) -> bool:
    """Say whether a query string has nothing that says nothing: a form sends its empty fields too."""
    return list(args.items(multi=True)) == list(_that_say_something(args).items(multi=True))


def _that_say_something(args: Args, since: str = DEFAULTS["since"]) -> MultiDict[str, str]:
    """Return the parameters that a page knows, without empty ones, and those that are as they are by default.

    Others are passed over, as the API does: chats add names of their own to links.
    """
    defaults = {**DEFAULTS, "since": since, "limit": str(current_service().settings.default_limit)}
    known = {*member_fields(_SCHEMA), SHOWN}
    given = [(parameter.partition("[")[0], value) for parameter, value in args.items(multi=True) if value.strip()]
    pairs = _of_one_time([pair for pair in given if pair[0] in known])
    return MultiDict((name, value) for name, value in pairs if name != SHOWN and defaults.get(name) != value)


def _of_one_time(given: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return parameters without a second time: `since` takes the place of `from` if it was chosen where that is shown.

    A form that shows a span sends it whatever is typed into `from`; one that shows `from` sends a span if it is chosen.
    """
    if {"since", "from"} <= {name for name, _ in given}:
        passed_over = ("from", "to") if (SHOWN, "from") in given else ("since",)
        given = [pair for pair in given if pair[0] not in passed_over]
    if ("since", LAST_MONTH) in given:
        given = [*(pair for pair in given if pair[0] not in ("since", "to")), *_last_month()]
    return given


def _last_month() -> list[tuple[str, str]]:
    """Return the days of the calendar month before this one, UTC, as parameters: a link shows the same tomorrow."""
    now = dt.datetime.fromtimestamp(current_service().clock.now_ms() / 1000, dt.UTC)
    last = now.replace(day=1) - dt.timedelta(days=1)
    return [("from", f"{last:%Y-%m}-01"), ("to", f"{last:%Y-%m-%d}")]
