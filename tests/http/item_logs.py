"""Places of items, and the ids of what is derived from them."""

from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient

from notifhist.schemas.item_ids import id_of, key_in_tenant
from notifhist.schemas.query import CheckPath
from tests.conftest import TENANT
from tests.http.helpers import get_json, pages_from

CHANGELOGS = f"/v1.0/{TENANT}/changelogs/alarms"
Settle = Callable[[], None]


def url_of(entity_id: str = "enOne", alarm_id: str = "alOne", check_id: str = "chOne") -> str:
    """Return the URL of a check, the same for every tenant."""
    return f"/entities/{entity_id}/alarms/{alarm_id}/notification_history/{check_id}"


def log_id(entity_id: str, alarm_id: str, item_id: str) -> str:
    """Return the id of the changelog and the suppression log of an item of chOne."""
    return id_of(key_in_tenant(CheckPath(TENANT, entity_id, alarm_id, "chOne"), item_id))


def walk(client: FlaskClient, url: str) -> list[str]:
    """Return the ids on all pages from `url` on, following next_href."""
    return [each["id"] for page in pages_from(client, url) for each in page["values"]]


def changes(client: FlaskClient, query: str = "", url: str = CHANGELOGS) -> list[dict[str, Any]]:
    """Return the changelogs on a page."""
    values: list[dict[str, Any]] = get_json(client, f"{url}?{query}")["values"]
    return values


def states(client: FlaskClient, query: str = "") -> list[str]:
    """Return the change of each changelog on a page, such as `OK > WARNING`."""
    return [f"{each['previous_state']} > {each['state']}" for each in changes(client, query)]
