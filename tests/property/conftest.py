"""How long hypothesis looks, and who it does it as.

The default profile tries the same examples every time, few enough for every run of the tests.
`HYPOTHESIS_PROFILE=thorough` tries new ones for some minutes; what it finds belongs into an `@example`.
"""

import os
from collections.abc import Callable
from itertools import count

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings

from notifhist.store.database import PostgresqlDatabase, SqliteDatabase
from tests.conftest import TENANT, MakeApp, MakeKey, authorized

# The database is made for a test, not for an example: each example is a tenant of its own instead.
_SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]

settings.register_profile(
    "default", max_examples=40, deadline=None, derandomize=True, suppress_health_check=_SUPPRESSED
)
settings.register_profile("thorough", max_examples=400, deadline=None, suppress_health_check=_SUPPRESSED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

Newcomer = Callable[..., FlaskClient]


@pytest.fixture(autouse=True)
def pages_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pages of more than two items read in pieces, as long ones are."""
    for kind in (SqliteDatabase, PostgresqlDatabase):
        monkeypatch.setattr(kind, "pieces_of", 2)


@pytest.fixture
def unlimited(make_app: MakeApp) -> Flask:
    """An application that counts no requests and shows items of any age."""
    return make_app(HISTORY_RATE_LIMIT="", RUNS_RATE_LIMIT="", PAGES_RATE_LIMIT="", RETENTION_DAYS=0)


@pytest.fixture
def newcomer(make_key: MakeKey) -> Newcomer:
    """Makes clients of an application, each of a tenant that has nothing yet, with every role."""
    numbers = count(1)

    def arrive(app: Flask) -> FlaskClient:
        return authorized(app, make_key(tenant=f"{TENANT}-{next(numbers)}"))

    return arrive
