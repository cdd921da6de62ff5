"""Every call of the app and the role that it needs: the table that the tests of access go through."""

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from notifhist.feeds.table import FEEDS
from tests.conftest import TENANT
from tests.feed_items import WEBHOOK
from tests.http.helpers import LOGS, RUNS, log_of, run_of

OBSERVER, CREATOR, ADMIN = "monitoring:observer", "monitoring:creator", "monitoring:admin"
VIEW, EDIT = "notification-logs:view", "notification-logs:edit"
INCLUDED = {
    OBSERVER: {OBSERVER},
    CREATOR: {OBSERVER, CREATOR},
    ADMIN: {OBSERVER, CREATOR, ADMIN},
    VIEW: {VIEW},
    EDIT: {VIEW, EDIT},
}

_ENTITY = "/entities/<entity_id>"
_ALARM = f"{_ENTITY}/alarms/<alarm_id>/notification_history"
_CHECK = f"{_ALARM}/<check_id>"
_ITEM = f"{_CHECK}/<uuid>"
_ATTEMPTS = f"{_ITEM}/notification_results/<notification_id>/attempts"
NEEDED = {
    ("GET", _ALARM): OBSERVER,
    ("GET", _CHECK): OBSERVER,
    ("POST", _CHECK): CREATOR,
    ("GET", _ITEM): OBSERVER,
    ("PUT", _ITEM): CREATOR,
    ("DELETE", _ITEM): ADMIN,
    ("POST", _ATTEMPTS): CREATOR,
    ("GET", "/limits"): OBSERVER,
    ("GET", "/views/latest_alarm_states"): OBSERVER,
    ("GET", "/entities"): OBSERVER,
    ("GET", _ENTITY): OBSERVER,
    ("GET", f"{_ENTITY}/alarms"): OBSERVER,
    ("GET", f"{_ENTITY}/alarms/<alarm_id>"): OBSERVER,
    ("GET", f"{_ENTITY}/checks"): CREATOR,
    ("GET", f"{_ENTITY}/checks/<check_id>"): CREATOR,
    ("GET", "/changelogs/alarms"): OBSERVER,
    ("GET", "/suppression_logs"): OBSERVER,
    ("GET", "/deliveries"): OBSERVER,
    ("GET", "/deliveries/counts"): OBSERVER,
    ("GET", "/deliveries/receivers"): OBSERVER,
    **{(method, f"/feeds/{feed.name}{feed.push_path}"): CREATOR for feed in FEEDS for method in ("POST", "PUT")},
    **{("GET", f"/feeds/{feed.name}{path}"): CREATOR for feed in FEEDS for path in feed.probes},
    ("GET", RUNS): VIEW,
    ("POST", RUNS): EDIT,
    ("GET", f"{RUNS}/<run_id>"): VIEW,
    ("PUT", f"{RUNS}/<run_id>"): EDIT,
    ("GET", LOGS): VIEW,
    ("POST", LOGS): EDIT,
    ("GET", f"{LOGS}/<log_id>"): VIEW,
    ("PUT", f"{LOGS}/<log_id>"): EDIT,
}
"""The role that each call needs. Views of the history API also have URLs under the tenant; HEAD is as GET."""
OPEN = {"/healthz", "/readyz", "/metrics", "/openapi.json", "/schemas/notification_history.xsd"}
"""What needs no key."""

ITEM_ID = "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26"
THERE = {
    "tenant_id": TENANT,
    "entity_id": "enOne",
    "alarm_id": "alOne",
    "check_id": "chOne",
    "uuid": ITEM_ID,
    "notification_id": "ntOne",
    "run_id": "1",
    "log_id": "1",
}
NOT_THERE = {name: "2" if name in ("run_id", "log_id") else "none" for name in THERE} | {"tenant_id": TENANT}
BODIES = {
    "notification_history": {"state": "OK", "notification_results": []},
    "attempts": {"message": "x"},
    "run": run_of(),
    "logs": log_of(),
    "feeds": WEBHOOK,
}
"""By the last of these words in a URL."""


@dataclass(frozen=True)
class Call:
    """A method and a URL rule of the app."""

    method: str
    rule: str

    @property
    def is_of_runs(self) -> bool:
        """Whether it belongs to the runs API."""
        return self.rule.startswith("/api/")

    @property
    def under_tenant(self) -> bool:
        """Whether the URL names a tenant."""
        return "<tenant_id>" in self.rule

    @property
    def needed(self) -> str | None:
        """The role it needs; None where the URL does not know the method."""
        method = "GET" if self.method == "HEAD" else self.method
        return NEEDED.get((method, self.rule.removeprefix("/v1.0/<tenant_id>")))

    def url(self, ids: Mapping[str, str]) -> str:
        """Return the URL with these ids."""
        url = self.rule
        for name, value in ids.items():
            url = url.replace(f"<{name}>", value)
        assert "<" not in url, "an id that the tests do not know"
        return url

    def send(
        self, client: FlaskClient, headers: Mapping[str, str] | None = None, ids: Mapping[str, str] | None = None
    ) -> TestResponse:
        """Send it with a body that fits; to what is there, unless `ids` say otherwise."""
        words = set(self.rule.split("/"))
        ours = ("attempts", "notification_history", "run", "logs", "feeds")
        body = next((BODIES[word] for word in ours if word in words), None)
        has_body = self.method in ("POST", "PUT", "PATCH")
        return client.open(self.url(ids or THERE), method=self.method, json=body if has_body else None, headers=headers)


def every_call(app: Flask) -> list[Call]:
    """Return every rule of the APIs with each of its methods, and with one that it does not have."""
    calls = []
    for rule in rules_of_apis(app):
        methods = rule.methods or set()
        siblings = {method for each in rules_of_apis(app) if each.rule == rule.rule for method in each.methods or ()}
        calls += [Call(method, rule.rule) for method in sorted(methods)]
        calls += [Call(method, rule.rule) for method in ("PATCH", "OPTIONS") if method not in siblings]
    return sorted(set(calls), key=repr)


def rules_of_apis(app: Flask) -> list[Rule]:
    """Return all URL rules but those of the pages, which know no keys (tests/http/test_pages_access.py)."""
    return [rule for rule in app.url_map.iter_rules() if not is_page(rule.rule)]


def guarded_calls(app: Flask) -> list[Call]:
    """Return the calls that need a key."""
    return [call for call in every_call(app) if call.rule not in OPEN]


def is_page(rule: str) -> bool:
    """Say whether a rule is one of the pages."""
    return rule == "/ui" or rule.startswith("/ui/")
