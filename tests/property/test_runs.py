"""The notification runs against a model in memory: what is recorded, and every way to ask for it."""

import datetime as dt
import json
from collections.abc import Iterable
from itertools import count, pairwise
from typing import Any
from urllib.parse import urlencode

from flask import Flask
from flask.testing import FlaskClient
from hypothesis import example, given, note
from hypothesis import strategies as st

from notifhist.schemas.document import Document, member_fields
from notifhist.schemas.fields import INT32, INT64
from notifhist.schemas.instants import format_instant, parse_instant
from notifhist.schemas.runs import (
    FAILED_REASONS,
    IGNORED_REASONS,
    MEDIUMS,
    NOTIFICATION_TYPES,
    OBJECT_TYPES,
    RUN,
    STATUSES,
)
from tests.conftest import NOW
from tests.property.conftest import Newcomer
from tests.property.strategies import examples

RUNS = "/api/v1/notifications/logs/run"
PUBLISHED_ORDER = tuple(member_fields(RUN))

# Two letters that fold to more than one, one that folds to a common letter, one that has two small forms.
FRAGMENTS = (
    *("Straße", "STRASSE", "ß", "İstanbul", "i̇", "ΣΑΣ", "σας", "\u212aelvin", "ﬁsh", "ŉ"),
    *("100%", "a_b", "axb", "\\", "\\%", "'", '"', "''", "--", "X", "x", "|", "\n", "\t", "🚨", "\u202e"),
)
TEXTS = st.one_of(
    st.lists(st.sampled_from(FRAGMENTS), max_size=3).map("".join),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4),
)
MOMENTS = st.sampled_from(
    [parse_instant(f"2024-07-29T{time}Z") for time in ("00:00:00", "15:51:28.070", "15:51:28.071", "23:59:59.999")]
)
"""Few, so that many runs are equal in time."""
ZONES = st.sampled_from((None, 0, 120, -570, 840))


def iso(moment: int, zone: int | None) -> str:
    """Return a moment as a client in `zone` (minutes east) writes it; None writes no zone, and means UTC."""
    if zone == 0:
        return format_instant(moment)
    east = dt.timezone(dt.timedelta(minutes=zone or 0))
    text = dt.datetime.fromtimestamp(moment / 1000, east).isoformat(timespec="milliseconds")
    return text if zone is not None else text.removesuffix("+00:00")


DATES = st.builds(iso, MOMENTS, ZONES)
NUMBERS = st.sampled_from((0, -1, *INT64)) | st.integers(*INT64)
OBJECTS = st.fixed_dictionaries(
    {"id": NUMBERS, "name": TEXTS, "type": st.sampled_from(OBJECT_TYPES)},
    optional={"cid": TEXTS, "tag": TEXTS | st.none(), "url": TEXTS},
)
IDS = st.sampled_from((INT64[0], -1, 0, 1, 2, 3, 10, 2**53 + 1))
GIVEN_RUNS = st.fixed_dictionaries(
    {
        "notificationType": st.sampled_from(NOTIFICATION_TYPES[:3]),
        "medium": st.sampled_from(MEDIUMS),
        "status": st.sampled_from(STATUSES),
    },
    optional={
        "dateCreated": DATES,
        "dateUpdated": DATES | st.none(),
        "deliveredCount": NUMBERS,
        "errorMessage": TEXTS | st.none(),
        "failedReason": st.sampled_from(FAILED_REASONS),
        "id": IDS,
        "ignoredReason": st.sampled_from(IGNORED_REASONS) | st.none(),
        "notificationObjects": st.lists(OBJECTS, max_size=2) | st.none(),
        "originalRunId": NUMBERS,
        "seqNo": st.sampled_from(INT32) | st.integers(*INT32),
        "summary": TEXTS,
    },
)


def filled_in(run: Document, run_id: int) -> Document:
    """Return a run as it must be answered: in published order, without null, with what is always there."""
    run = {name: value for name, value in run.items() if value is not None and value != []}
    objects = [{name: o[name] for name in sorted(o) if o[name] is not None} for o in run.get("notificationObjects", ())]
    created = format_instant(parse_instant(run.get("dateCreated", NOW)))
    updated = format_instant(parse_instant(run.get("dateUpdated", created)))
    whole = {"deliveredCount": 0, "seqNo": 0, **run, "id": run_id, "dateCreated": created, "dateUpdated": updated}
    if objects:
        whole["notificationObjects"] = objects
    return {name: whole[name] for name in PUBLISHED_ORDER if name in whole}


LISTS = {
    "notificationTypes": ("notificationType", NOTIFICATION_TYPES[:4]),
    "statuses": ("status", STATUSES),
    "mediums": ("medium", MEDIUMS),
    "ignoredReasons": ("ignoredReason", IGNORED_REASONS),
    "failedReasons": ("failedReason", FAILED_REASONS),
}
"""The parameters that filter by a member: its name and values."""
SEARCHES = st.one_of(
    st.sampled_from(FRAGMENTS).flatmap(lambda text: st.sampled_from((text, text.upper(), text.lower(), text.title()))),
    st.tuples(st.sampled_from(FRAGMENTS), st.sampled_from(FRAGMENTS)).map("".join),
    TEXTS,
)
PARAMETERS: dict[str, st.SearchStrategy[Any]] = {
    **{name: st.lists(st.sampled_from(values), min_size=1, max_size=4) for name, (_, values) in LISTS.items()},
    "searchQuery": SEARCHES,
    "includeObjects": st.sampled_from(("true", "True", "1", "false", "False", "0")),
    "fromDate": DATES,
    "untilDate": DATES,
    "pageSize": st.sampled_from((1, 2, 3, 1000)),
    "page": st.sampled_from((0, 1, 2, INT32[1])),
    "orderBy": st.sampled_from(("ASC", "DESC")),
}
QUERIES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.sets(st.sampled_from(sorted(PARAMETERS)), min_size=1, max_size=3).flatmap(
        lambda names: st.fixed_dictionaries({name: PARAMETERS[name] for name in sorted(names)})
    ),
    st.fixed_dictionaries({name: PARAMETERS[name] for name in ("pageSize", "page", "orderBy")}),
    st.fixed_dictionaries({}, optional=PARAMETERS),
)
"""Mostly few parameters: many together find nothing."""


def query_string(query: dict[str, Any], commas: bool) -> str:
    """Return the query as a client sends it: lists comma-separated, or repeated."""
    pairs = []
    for name, value in query.items():
        if not isinstance(value, list):
            pairs.append((name, value))
        elif commas:
            pairs.append((name, ",".join(value)))
        else:
            pairs += [(name, one) for one in value]
    return urlencode(pairs)


def texts_of(run: Document) -> list[str]:
    about = run.get("notificationObjects", [])
    return [
        *(run[name] for name in ("errorMessage", "summary") if name in run),
        *(one[name] for one in about for name in ("name", "tag") if name in one),
    ]


def is_asked_for(run: Document, query: dict[str, Any]) -> bool:
    created = parse_instant(run["dateCreated"])
    search = query.get("searchQuery", "").casefold()
    return (
        all(run.get(member) in query[name] for name, (member, _) in LISTS.items() if name in query)
        and ("fromDate" not in query or parse_instant(query["fromDate"]) <= created)
        and ("untilDate" not in query or created <= parse_instant(query["untilDate"]))
        and (not search or any(search in text.casefold() for text in texts_of(run)))
    )


def page_of(runs: Iterable[Document], query: dict[str, Any]) -> Document:
    """Return what a query must answer, of all the tenant's runs."""
    found = sorted(
        (run for run in runs if is_asked_for(run, query)),
        key=lambda run: (parse_instant(run["dateCreated"]), run["id"]),
        reverse=query.get("orderBy") != "ASC",
    )
    page, size = query.get("page", 0), query.get("pageSize", 250)
    shown = found[page * size : (page + 1) * size]
    if query.get("includeObjects", "0").lower() not in ("true", "1"):
        shown = [{name: run[name] for name in run if name != "notificationObjects"} for run in shown]
    return {"page": page, "runs": shown, "total": len(found), "totalPages": -(-len(found) // size)}


class Tenant:
    """A tenant's runs, in the service and in memory."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.runs: dict[int, Document] = {}

    def send(self, method: str, path: str, body: Document | None = None) -> tuple[int, Any]:
        text = None if body is None else json.dumps(body)
        response = self.client.open(path, method=method, data=text, content_type=text and "application/json")
        note(f"{method} {path} {text} -> {response.status_code} {response.text}")
        return response.status_code, json.loads(response.data)

    def record(self, given_runs: list[Document], as_container: bool) -> None:
        """Record runs, together or one by one; those of a known id are replaced."""
        if as_container:
            by_id = {run.get("id", f"none {n}"): run for n, run in enumerate(given_runs)}
            new = [run for run_id, run in by_id.items() if run_id not in self.runs]
            known = [run for run_id, run in by_id.items() if run_id in self.runs]
            expected = self.filled_in(new)
            self.expect("POST", RUNS, {"runs": new}, 201, {"runs": expected})
            self.runs |= {run["id"]: run for run in expected}
            given_runs = known
        for run in given_runs:
            if run.get("id") in self.runs:
                self.replace(run)
                continue
            (only,) = self.filled_in([run])
            self.expect("POST", RUNS, run, 201, only)
            self.runs[only["id"]] = only

    def filled_in(self, runs: list[Document]) -> list[Document]:
        """Return the runs as they must be answered: those without an id get the next numbers."""
        last = max([0, *self.runs, *(run["id"] for run in runs if "id" in run)])
        numbers = count(last + 1)
        return [filled_in(run, run["id"] if "id" in run else next(numbers)) for run in runs]

    def replace(self, run: Document) -> None:
        """Send a run again, then contradict it, then replace it."""
        run_id = run["id"]
        known, new = self.runs[run_id], filled_in(run, run_id)
        self.expect("POST", RUNS, known, 200, known)
        if new != known:
            status, answer = self.send("POST", RUNS, new)
            assert (status, answer["type"]) == (409, "CONFLICT")
            self.expect("GET", f"{RUNS}/{run_id}", None, 200, known)
        self.expect("PUT", f"{RUNS}/{run_id}", run, 200, new)
        self.runs[run_id] = new

    def expect(self, method: str, path: str, body: Document | None, status: int, answer: Any) -> None:
        """Send a request; its answer must be this one, member for member."""
        sent = self.send(method, path, body)
        assert (sent[0], json.dumps(sent[1])) == (status, json.dumps(answer))


SEVERAL = st.lists(st.tuples(st.lists(GIVEN_RUNS, min_size=1, max_size=5), st.booleans()), min_size=1, max_size=4)


def test_every_answer_is_the_models(unlimited: Flask, newcomer: Newcomer) -> None:
    @given(SEVERAL, st.lists(st.tuples(QUERIES, st.booleans()), min_size=4, max_size=12))
    @examples()
    def holds(recorded: list[tuple[list[Document], bool]], queries: list[tuple[dict[str, Any], bool]]) -> None:
        tenant = Tenant(newcomer(unlimited))
        for runs, as_container in recorded:
            tenant.record(runs, as_container)
        for run_id, run in tenant.runs.items():
            tenant.expect("GET", f"{RUNS}/{run_id}", None, 200, run)
        for query, commas in [({}, False), *queries]:
            path = f"{RUNS}?{query_string(query, commas)}"
            tenant.expect("GET", path, None, 200, page_of(tenant.runs.values(), query))

    holds()


def test_a_search_is_literal_and_within_one_text(unlimited: Flask, newcomer: Newcomer) -> None:
    base = {"notificationType": "WEEKLY_REPORT", "medium": "EMAIL", "status": "FAILED"}

    @example(["STRASSE", "straße", "Kelvin", "İ", "ΟΔΟΣ"], ["ß", "\u212aELVIN", "i̇", "οδος", "%"], "X")
    @example(["100%", "a_b", "\\", "'"], ["0%", "A_B", "_", "\\", "''"], "x")
    @given(
        st.lists(TEXTS, min_size=1, max_size=8),
        st.lists(SEARCHES, min_size=1, max_size=8),
        st.sampled_from(("", "X", "x", "\n", " ")),
    )
    @examples()
    def holds(texts: list[str], searches: list[str], between: str) -> None:
        tenant = Tenant(newcomer(unlimited))
        about = [{"id": n, "name": text, "type": "ENTITY", "tag": text[::-1]} for n, text in enumerate(texts)]
        runs = [
            {**base, "summary": first, "errorMessage": second, "notificationObjects": [one]}
            for first, second, one in zip(texts, texts[::-1], about, strict=True)
        ]
        tenant.record(runs, True)
        across = [one[-2:] + between + other[:2] for one, other in pairwise(texts_of(tenant.runs[1]))]
        for search in [*searches, *texts, *(text[::-1] for text in texts), *across]:
            path = f"{RUNS}?{urlencode({'searchQuery': search})}"
            expected = page_of(tenant.runs.values(), {"searchQuery": search})
            tenant.expect("GET", path, None, 200, expected)

    holds()
