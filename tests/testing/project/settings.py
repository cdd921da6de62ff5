"""Fixtures that all tests share, and the settings of the service."""

import uuid

import pytest
from client import Client


@pytest.fixture(scope="session")
def notifhist_settings() -> dict[str, str]:
    """Return what is different from the default."""
    return {"DEFAULT_LIMIT": "20"}


@pytest.fixture
def entity() -> str:
    """Return an entity of this test alone: a deployed service keeps what earlier tests recorded."""
    return f"en-{uuid.uuid4()}"


@pytest.fixture
def client(notifhist, notifhist_url) -> Client:
    """Return the client under test."""
    return Client(notifhist_url, notifhist.key())
