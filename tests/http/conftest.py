"""What several HTTP tests may ask for."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from tests.conftest import MakeApp, authorized


@pytest.fixture
def at(make_app: MakeApp, key: str) -> Callable[..., FlaskClient]:
    """Makes clients of a service whose clock stands at a given time, over the same database."""
    return lambda now_ms, **settings: authorized(make_app(NOW=now_ms, **settings), key)
