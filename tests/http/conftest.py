"""What several HTTP tests may ask for."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from notifhist.store.database import Database
from tests.conftest import TENANT, MakeApp, authorized
from tests.records import move_recent_deliveries


@pytest.fixture
def at(make_app: MakeApp, key: str) -> Callable[..., FlaskClient]:
    """Makes clients of a service whose clock stands at a given time, over the same database."""
    return lambda now_ms, **settings: authorized(make_app(NOW=now_ms, **settings), key)


@pytest.fixture(params=["recent", "moved"])
def settle(request: pytest.FixtureRequest, db: Database) -> Callable[[], None]:
    """Leaves what was recorded among the recent deliveries, or moves it to the others: no client may notice."""

    def leave_or_move() -> None:
        if request.param == "moved":
            move_recent_deliveries(db, TENANT)

    return leave_or_move
