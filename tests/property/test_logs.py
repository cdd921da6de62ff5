"""The notification logs against a model in memory: recorded, replaced, and asked for in every way.

Few logs fill a bucket of the counts here, and a short way is a deep one.
"""

import json
import re
from collections.abc import Iterable
from itertools import count
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from notifhist.schemas.document import Document, member_fields
from notifhist.schemas.fields import INT64
from notifhist.schemas.instants import format_instant, parse_instant
from notifhist.schemas.logs import FAILED_REASONS, IGNORED_REASONS, LOG, RECIPIENT_TYPES, STATUSES
from notifhist.schemas.runs import MEDIUMS, NOTIFICATION_TYPES
from notifhist.store.counted import counts, pages
from notifhist.store.database import Database
from tests.conftest import NOW, MakeKey, authorized
from tests.property.strategies import examples
from tests.property.test_runs import DATES, TEXTS
from tests.recount import assert_counts_are_true

LOGS = "/api/v1/notifications/logs"
PUBLISHED_ORDER = tuple(member_fields(LOG))

# Nearly equal ones: of other case, other composition, other blanks, and with what separates values in a query.
RECIPIENTS = st.sampled_from(
    ("a", "A", "a@x", "\u00e1", "a\u0301", " a", "a ", " ", "a,b", "b", "%61", "a+b", "\u202ea")
)
NUMBERS = st.sampled_from((0, 1, 2, -1, 2**53, 2**53 + 1, *INT64))
GIVEN_LOGS: st.SearchStrategy[Document] = st.fixed_dictionaries(
    {
        "medium": st.sampled_from(MEDIUMS),
        "recipientType": st.sampled_from(RECIPIENT_TYPES),
        "runId": NUMBERS,
        "status": st.sampled_from(STATUSES),
        "type": st.sampled_from(NOTIFICATION_TYPES[:3]),
    },
    optional={
        "dateCreated": DATES,
        "dateDelivered": DATES,
        "dateUpdated": DATES | st.none(),
        "errorMessage": TEXTS,
        "failedReason": st.sampled_from(FAILED_REASONS),
        "ignoredReason": st.sampled_from(IGNORED_REASONS) | st.none(),
        "recipientChannel": RECIPIENTS,
        "recipientEmail": RECIPIENTS | TEXTS,
        "recipientEntityId": NUMBERS,
        "recipientUserId": NUMBERS | st.integers(*INT64),
    },
)
LISTS: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "notificationRunIds": ("runId", NUMBERS),
    "notificationTypes": ("type", st.sampled_from(NOTIFICATION_TYPES[:4])),
    "statuses": ("status", st.sampled_from(STATUSES)),
    "recipientTypes": ("recipientType", st.sampled_from(RECIPIENT_TYPES)),
    "recipientEmails": ("recipientEmail", RECIPIENTS),
    "recipientEntityIds": ("recipientEntityId", NUMBERS),
    "recipientChannels": ("recipientChannel", RECIPIENTS),
    "mediums": ("medium", st.sampled_from(MEDIUMS)),
    "ignoredReasons": ("ignoredReason", st.sampled_from(IGNORED_REASONS)),
    "failedReasons": ("failedReason", st.sampled_from(FAILED_REASONS)),
}
"""The parameters that filter by a member: its name and values."""
PLACES = st.fixed_dictionaries(
    {},
    optional={
        "fromDate": DATES,
        "untilDate": DATES,
        "pageSize": st.sampled_from((1, 2, 3, 1000)),
        "page": st.sampled_from((0, 1, 2, 3, 5, 2**31 - 1)),
        "orderBy": st.sampled_from(("ASC", "DESC")),
    },
)


@st.composite
def queries(draw: st.DrawFn) -> list[tuple[str, str]]:
    """The pairs of query strings with none to three filters, their values repeated or between commas."""
    pairs = [(name, str(value)) for name, value in draw(PLACES).items()]
    for name in draw(st.lists(st.sampled_from(sorted(LISTS)), max_size=3, unique=True)):
        values = [str(value) for value in draw(st.lists(LISTS[name][1], min_size=1, max_size=4))]
        separator = draw(st.sampled_from(("", ",", ", ", ",,")))
        pairs += [(name, value) for value in ([separator.join(values)] if separator else values)]
    return pairs


def filled_in(log: Document, log_id: int) -> Document:
    """Return a log as it must be answered: in published order, without null, with what is always there."""
    created = format_instant(parse_instant(log.get("dateCreated", NOW)))
    whole = {name: value for name, value in log.items() if value is not None} | {"id": log_id, "dateCreated": created}
    for name in ("dateDelivered", "dateUpdated"):
        if name in whole:
            whole[name] = format_instant(parse_instant(whole[name]))
    whole.setdefault("dateUpdated", created)
    return {name: whole[name] for name in PUBLISHED_ORDER if name in whole}


def page_of(logs: Iterable[Document], pairs: list[tuple[str, str]]) -> Document:
    """Return what a query must answer, of all the tenant's logs."""
    single = {name: value for name, value in pairs if name not in LISTS}
    wanted: dict[str, set[str]] = {}
    for name, value in pairs:
        if name in LISTS:  # blanks beside a comma do not count, and neither does nothing between two
            wanted.setdefault(name, set()).update(filter(None, re.sub(" *, *", ",", value).split(",")))
    first = parse_instant(single.get("fromDate", "0001-01-01"))
    last = parse_instant(single.get("untilDate", "9999-12-31"))
    found = sorted(
        (
            log
            for log in logs
            if all(LISTS[name][0] in log and str(log[LISTS[name][0]]) in wanted[name] for name in wanted)
            and first <= parse_instant(log["dateCreated"]) <= last
        ),
        key=lambda log: (parse_instant(log["dateCreated"]), log["id"]),
        reverse=single.get("orderBy") != "ASC",
    )
    page, size = int(single.get("page", 0)), int(single.get("pageSize", 250))
    shown = found[page * size : (page + 1) * size]
    return {"logs": shown, "page": page, "total": len(found), "totalPages": -(-len(found) // size)}


class Logs(RuleBasedStateMachine):
    """A tenant's logs, in the service and in memory: each by its id, as it must be answered."""

    def __init__(self, client: FlaskClient, db: Database, tenant: str) -> None:
        super().__init__()
        self.client, self.db, self.tenant = client, db, tenant
        self.logs: dict[int, Document] = {}

    def expect(self, method: str, path: str, body: Document | None, status: int, answer: Document) -> None:
        """Send a request; its answer must be this one, member for member."""
        text = None if body is None else json.dumps(body)
        response = self.client.open(path, method=method, data=text, content_type=text and "application/json")
        note(f"{method} {path} {text} -> {response.status_code} {response.text}")
        assert (response.status_code, json.dumps(response.json)) == (status, json.dumps(answer))

    @rule(given=st.lists(GIVEN_LOGS, min_size=1, max_size=8))
    def record(self, given: list[Document]) -> None:
        first = max([0, *self.logs]) + 1
        new = {n: filled_in(log, n) for n, log in enumerate(given, start=first)}
        self.expect("POST", LOGS, {"logs": given}, 201, {"logs": [*new.values()]})
        self.logs |= new

    @rule(given=GIVEN_LOGS, number=st.integers(4, 9))
    def record_a_burst(self, given: Document, number: int) -> None:
        self.record([given] * number)

    @rule(log_id=st.integers(-2, 12), given=GIVEN_LOGS)
    def put(self, log_id: int, given: Document) -> None:
        answer = filled_in(given, log_id)
        self.expect("PUT", f"{LOGS}/{log_id}", given, 200 if log_id in self.logs else 201, answer)
        self.logs[log_id] = answer

    @rule(log_id=st.integers(-2, 12), given=GIVEN_LOGS)
    def record_again(self, log_id: int, given: Document) -> None:
        if log_id not in self.logs:
            return
        self.expect("POST", LOGS, self.logs[log_id], 200, self.logs[log_id])
        if filled_in(given, log_id) | {"errorMessage": "another"} != self.logs[log_id]:
            other = {**given, "id": log_id, "errorMessage": "another"}
            assert self.client.post(LOGS, json={"logs": [given, other]}).status_code == 409

    @rule(asked=st.lists(queries(), min_size=4, max_size=10))
    def ask(self, asked: list[list[tuple[str, str]]]) -> None:
        for pairs in asked:
            self.expect("GET", f"{LOGS}?{urlencode(pairs)}", None, 200, page_of(self.logs.values(), pairs))

    @rule(log_id=st.integers(-2, 12))
    def read(self, log_id: int) -> None:
        if log_id in self.logs:
            self.expect("GET", f"{LOGS}/{log_id}", None, 200, self.logs[log_id])

    def teardown(self) -> None:
        assert_counts_are_true(self.db, self.tenant)


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "SPLIT_ABOVE", 3)
    monkeypatch.setattr(pages, "_SKIP_BY_COUNTS_ABOVE", 2)
    monkeypatch.setattr(pages, "_SORT_BELOW", 2)


def test_every_answer_is_the_models(unlimited: Flask, make_key: MakeKey, db: Database) -> None:
    numbers = count(1)

    class NewTenants(Logs):
        def __init__(self) -> None:
            tenant = f"logs-{next(numbers)}"
            super().__init__(authorized(unlimited, make_key(tenant=tenant)), db, tenant)

    run_state_machine_as_test(NewTenants, settings=settings(examples(0.4), stateful_step_count=20))
