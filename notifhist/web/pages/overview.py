"""The first page: what failed in the last 24 hours, whom it should have reached, and which alarms are not well."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from flask import Response

from notifhist.auth import OBSERVER, RUNS_VIEW
from notifhist.config import MS_PER_DAY
from notifhist.schemas.deliveries import FAILED, IN_PROGRESS, NOT_SENT, SENT, UNKNOWN
from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.schemas.document import Document
from notifhist.schemas.query import RunsQuery
from notifhist.serializers.stored import documents_of
from notifhist.store.counted.pages import list_records
from notifhist.store.database import Database
from notifhist.store.deliveries import summaries
from notifhist.store.deliveries.alarms import Alarm, list_alarms
from notifhist.store.deliveries.failing import Failing, Receiver, failing_since
from notifhist.store.deliveries.reading import list_deliveries
from notifhist.store.deliveries.suppressed import count_nobody
from notifhist.store.runs import RUN_RECORDER
from notifhist.web.apis import PAGES
from notifhist.web.context import caller, current_service, readable_db
from notifhist.web.declarations import View
from notifhist.web.deliveries import counts_by_time
from notifhist.web.pages.charts import Volume, volume
from notifhist.web.pages.delivery_rows import HELD_BACK, NOBODY, Row, rows_of
from notifhist.web.pages.links import page_url
from notifhist.web.pages.rendering import PAGE, may, page
from notifhist.web.pages.states import rank, state_kind

TILES = (FAILED, NOT_SENT, IN_PROGRESS, SENT, UNKNOWN)
MOST_RECEIVERS = 10
MOST_FAILURES = 10
MOST_ALARMS = 10
MOST_RUNS = 3
MOST_UNSENT = 1000
"""If more were not sent, the overview does not say why: deliveries are looked at one by one for it."""
BARS_OF = "1h"
"""The time of a bar: half of that is 50 bars more to send, with their table 8 kB."""


class FailingReceiver(NamedTuple):
    """A receiver that notifications did not reach. Times in ms since the epoch."""

    receiver: Receiver
    failures: int
    last_failure: int
    last_message: str | None
    failing: Failing
    """Since when it has failed without a success."""


@dataclass(frozen=True)
class Deliveries:
    """The deliveries of the last 24 hours, as the overview shows them."""

    counts: Counter[str]
    reasons: list[tuple[int, str]]
    """How many were not sent for each reason, as far as there are any; empty if they are more than are looked at."""
    chart: Volume
    receivers: list[FailingReceiver]
    failing_receivers: int
    """How many there are; `receivers` are those with most failures."""
    failures: list[Row]
    alarms: list[Alarm]
    bad_alarms: int
    unknown_alarms: int
    most_checks: int | None
    """If there are more checks than are looked at: so many are."""


@View(PAGES, "GET", "/", "Look at the overview", offers=PAGE)
def show_overview() -> Response:
    """Show what the key may see: deliveries and alarms, runs."""
    deliveries = _deliveries() if may(OBSERVER) else None
    runs = _runs() if may(RUNS_VIEW) else None
    return page(
        "overview.html",
        deliveries=deliveries,
        runs=runs,
        tiles=TILES,
        deliveries_between=lambda from_ms, to_ms: page_url("deliveries", from_=from_ms, to=to_ms),
        failed_deliveries=partial(page_url, "deliveries", outcome=FAILED),
    )


def _deliveries() -> Deliveries:
    service, db = current_service(), readable_db()
    now_ms, oldest_ms = service.clock.now_ms(), service.oldest_ms()
    query = DeliveriesQuery(caller().tenant, max(now_ms - MS_PER_DAY, 0), now_ms, reverse=True)
    failed = replace(query, outcomes=(FAILED,))
    counted = counts_by_time(query, "outcome", BARS_OF)
    receivers = (
        [each for each in summaries.list_receivers(db, failed, oldest_ms) if each["counts"].get(FAILED)]
        if any(FAILED in each["counts"] for each in counted)
        else []
    )
    alarms, most_checks = list_alarms(
        db, query.tenant, oldest_ms, is_state_wanted=lambda state: state_kind(state) != "fine"
    )
    alarms.sort(key=lambda each: (rank(each.state), -each.timestamp))
    unknown = sum(state_kind(each.state) == "unknown" for each in alarms)
    counts: Counter[str] = sum((Counter(each["counts"]) for each in counted), Counter())
    return Deliveries(
        counts=counts,
        reasons=_reasons(db, query, oldest_ms, counts[NOT_SENT]),
        chart=volume(counted),
        receivers=_failing(db, query.tenant, receivers[:MOST_RECEIVERS], now_ms, oldest_ms),
        failing_receivers=len(receivers),
        failures=rows_of(list_deliveries(db, failed, oldest_ms, MOST_FAILURES).deliveries),
        alarms=alarms[:MOST_ALARMS],
        bad_alarms=len(alarms) - unknown,
        unknown_alarms=unknown,
        most_checks=most_checks,
    )


def _reasons(db: Database, query: DeliveriesQuery, oldest_ms: int | None, unsent: int) -> list[tuple[int, str]]:
    if not 0 < unsent <= MOST_UNSENT:
        return []
    nobody = min(count_nobody(db, query, oldest_ms), unsent)  # one may have been recorded since the others were counted
    return [(count, reason) for count, reason in ((unsent - nobody, HELD_BACK), (nobody, NOBODY)) if count]


def _failing(
    db: Database, tenant: str, found: Sequence[Document], now_ms: int, oldest_ms: int | None
) -> list[FailingReceiver]:
    """Return receivers with the time since which they fail."""
    receivers = [Receiver(*map(each.get, Receiver._fields)) for each in found]
    since = failing_since(db, tenant, receivers, now_ms, oldest_ms)
    return [
        FailingReceiver(receiver, each["counts"][FAILED], each["last_failure"], each.get("last_message"), failing)
        for receiver, failing, each in zip(receivers, since, found, strict=True)
    ]


def _runs() -> list[Document]:
    """Return the newest runs."""
    query = RunsQuery(caller().tenant, page_size=MOST_RUNS, include_objects=False)
    return list(documents_of(list_records(readable_db(), RUN_RECORDER.table, query).records))
