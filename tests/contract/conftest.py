"""The description, and an application that serves it without a database."""

import pytest
from flask import Flask

from notifhist.factory import create_app
from tests.contract.described import Description, description_of


@pytest.fixture(scope="module")
def storeless(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """An application whose database does not exist."""
    return create_app({"DATABASE_URL": f"sqlite:///{tmp_path_factory.mktemp('none')}/none.db"})


@pytest.fixture(scope="module")
def description(storeless: Flask) -> Description:
    return description_of(storeless)
