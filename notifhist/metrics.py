"""The metrics that Prometheus reads at /metrics. No label ever holds an id, a tenant or a key."""

import collections
import os
import re
import stat
import struct
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from notifhist import metric_files  # noqa: F401 - prometheus_client then counts in such files

MULTIPROCESS_DIR = "PROMETHEUS_MULTIPROC_DIR"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"})
NOT_FORWARDED, NOT_TRUSTED = "not_forwarded", "not_trusted"
KINDS = ("item", "run", "log", "attempt")
GIVEN_UP = ("late", "silent", "limit", "unreachable")
MOST_TYPES = 30
_TYPE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""A type that is counted by itself: senders choose the text, and everybody may read the metrics."""
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram, in seconds."""

_COUNTERS = {
    "notifhist_requests_total": "Requests answered.",
    "notifhist_recorded_total": "Notifications, runs, logs and attempts recorded.",
    "notifhist_deliveries_total": "Deliveries of items that were recorded, not loaded, for the first time.",
    "notifhist_rate_limited_total": "Requests refused with 429.",
    "notifhist_refused_keys_total": "Keys refused: malformed, unknown, expired or revoked.",
    "notifhist_keyed_requests_total": "Requests with a valid key that may do what they ask.",
    "notifhist_proxy_mismatches_total": "Those of them that did not come through as many proxies as are trusted.",
    "notifhist_feed_records_total": "Items that feeds have created or added attempts to.",
    "notifhist_feed_ignored_total": "Parts of payloads of feeds that were not recorded.",
    "notifhist_database_given_up_total": "Requests that were refused because of the database.",
    "notifhist_lagging_answers_total": "Answers from the replica while there was no primary.",
}
"""What each counter counts, by its name."""

_NO_COUNTS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, struct.error)
"""What prometheus_client raises, beside ValueError, where a file has something else than counts."""

# Otherwise each counter has a second series, its time of creation, except where several processes count in files.
disable_created_metrics()  # type: ignore[no-untyped-call]


class _Families:
    """The counters and the histogram, with the registry that holds them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = self._counter
        self.requests = counter("notifhist_requests_total", "method", "route", "status")
        self.seconds = Histogram(
            "notifhist_request_seconds",
            "Seconds from the request's arrival in the app to its answer.",
            ["route"],
            registry=self.registry,
            buckets=BUCKETS,
        )
        self.recorded = counter("notifhist_recorded_total", "kind")
        self.deliveries = counter("notifhist_deliveries_total", "outcome", "type")
        self.types: dict[str, str] = {}
        """The types that this process counts by themselves."""
        self.rate_limited = counter("notifhist_rate_limited_total", "api")
        self.refused_keys = counter("notifhist_refused_keys_total", "api")
        self.keyed = counter("notifhist_keyed_requests_total")
        self.proxy_mismatches = counter("notifhist_proxy_mismatches_total", "problem")
        self.fed = counter("notifhist_feed_records_total", "feed")
        self.feed_ignored = counter("notifhist_feed_ignored_total", "feed", "reason")
        self.given_up = counter("notifhist_database_given_up_total", "reason")
        self.lagging = counter("notifhist_lagging_answers_total")
        self._begin_at_0()

    def _counter(self, name: str, *labels: str) -> Counter:
        return Counter(name, _COUNTERS[name], labels, registry=self.registry)

    def _begin_at_0(self) -> None:
        """Make the series whose labels are known: they are there from the start, at 0."""
        for problem in (NOT_FORWARDED, NOT_TRUSTED):
            self.proxy_mismatches.labels(problem)
        for reason in GIVEN_UP:
            self.given_up.labels(reason)
        for kind in KINDS:
            self.recorded.labels(kind)


class _FilesOfProcesses(MultiProcessCollector):
    """The counts in the ordinary files of a directory, added up."""

    def collect(self) -> Iterable[Metric]:
        """Return the sums. A starting process has an empty file for a moment, and MultiProcessCollector fails at it."""
        found = [(path, path.lstat()) for path in Path(self._path).glob("*.db")]
        files = [str(path) for path, status in found if status.st_size and stat.S_ISREG(status.st_mode)]
        sums: Iterable[Metric] = self.merge(files)  # type: ignore[no-untyped-call]
        return sums


@cache
def _families_of_process() -> _Families:
    """Return the one set of a process that counts in files: two would overwrite each other's values there."""
    return _Families()


class Metrics:
    """The metrics of one app.

    With PROMETHEUS_MULTIPROC_DIR set, as the server does, every process counts in files of that directory and
    `render` adds them all up, those of ended workers too. Otherwise each Metrics stands for itself. Refused keys and
    requests are counted from 0 for each of `keyed_apis`: a rate misses the first of a series that begins at 1.
    """

    def __init__(self, keyed_apis: Iterable[str] = ()) -> None:
        self._directory = os.environ.get(MULTIPROCESS_DIR)
        self._families = _families_of_process() if self._directory else _Families()
        self._answered = cache(self._children)
        for api in keyed_apis:
            self._families.refused_keys.labels(api)
            self._families.rate_limited.labels(api)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request. `route` is the URL rule, never the URL; empty where none matched."""
        requests, took = self._answered(method if method in METHODS else "other", route or "none", status)
        requests.inc()
        took.observe(seconds)

    def _children(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        """Return the counter and the histogram of these labels; `_answered` caches them, which saves 2 of 5 µs."""
        families = self._families
        return families.requests.labels(method, route, str(status)), families.seconds.labels(route)

    def recorded(self, kind: str, count: int) -> None:
        """Count recorded items, runs, logs or attempts, as `kind` says."""
        self._families.recorded.labels(kind).inc(count)

    def delivered(self, outcome: str, notification_type: str | None) -> None:
        """Count a delivery. Odd types, and those after the first MOST_TYPES, are counted together as `other`."""
        types = self._families.types
        if notification_type is None:
            label = "none"
        elif not _TYPE.fullmatch(notification_type):
            label = "other"
        elif len(types) < MOST_TYPES:
            label = types.setdefault(notification_type, notification_type)
        else:
            label = types.get(notification_type, "other")
        self._families.deliveries.labels(outcome, label).inc()

    def fed(self, feed: str, count: int, ignored: Mapping[str, int]) -> None:
        """Count what became of a payload: `ignored` by reason, a fixed word each."""
        self._families.fed.labels(feed).inc(count)
        for reason, number in ignored.items():
            self._families.feed_ignored.labels(feed, reason).inc(number)

    def rate_limited(self, api: str) -> None:
        """Count a request that was refused with 429. `api` is the API's name."""
        self._families.rate_limited.labels(api).inc()

    def refused_key(self, api: str) -> None:
        """Count a key that was refused, a guessed one perhaps. `api` is the API's name."""
        self._families.refused_keys.labels(api).inc()

    def let_through(self) -> None:
        """Count a request with a valid key that may do what it asks."""
        self._families.keyed.inc()

    def proxy_mismatch(self, problem: str) -> None:
        """Count one of those that came through fewer proxies than are trusted (NOT_FORWARDED), or one where none is."""
        self._families.proxy_mismatches.labels(problem).inc()

    def gave_up(self, reason: str) -> None:
        """Count a request that was refused because of the database, for one of the reasons GIVEN_UP."""
        self._families.given_up.labels(reason).inc()

    def may_lag(self) -> None:
        """Count an answer from a replica that may lag, since there was no primary."""
        self._families.lagging.inc()

    def render(self) -> tuple[bytes, str]:
        """Return the Prometheus text and its content type."""
        registry = self._families.registry
        if self._directory:
            registry = CollectorRegistry()
            _FilesOfProcesses(registry, self._directory)  # type: ignore[no-untyped-call]
        return generate_latest(registry), CONTENT_TYPE_LATEST


def keyed_requests_of(directory: Path) -> tuple[int, dict[str, int]]:
    """Return how many requests with a valid key a service has counted, and their mismatches of proxies, by problem.

    `directory`: that of its metrics. Raises OSError if it has gone, ValueError if it has something else than counts.
    """
    keyed, by_problem = 0, collections.Counter[str]()
    files = _FilesOfProcesses(CollectorRegistry(), str(directory))  # type: ignore[no-untyped-call]
    try:
        for metric in files.collect():
            for sample in metric.samples:
                if sample.name == "notifhist_keyed_requests_total":
                    keyed += int(sample.value)
                elif sample.name == "notifhist_proxy_mismatches_total":
                    by_problem[sample.labels["problem"]] += int(sample.value)
    except _NO_COUNTS as error:
        raise ValueError(f"{directory} has files that are no counts") from error
    return keyed, by_problem
