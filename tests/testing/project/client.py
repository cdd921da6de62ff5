"""A client of both APIs, as a team may have one."""

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from xml.etree import ElementTree

TRIES = 3


class Client:
    """Asks for the history of checks, and for runs."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key

    def ask(self, url: str, accept: str = "application/json") -> bytes:
        """Return the body; waits as long as it is told to, and tries again."""
        for _ in range(TRIES):
            request = Request(url, headers={"X-Auth-Token": self.key, "Accept": accept})
            try:
                with urlopen(request, timeout=10) as answer:
                    body: bytes = answer.read()
                    return body
            except HTTPError as error:
                with error:
                    if error.code not in (429, 503):
                        raise
                    time.sleep(float(error.headers["Retry-After"]))
        raise TimeoutError(url)

    def check(self, entity: str, alarm: str, check: str) -> str:
        """Return the URL of the items of a check."""
        return f"{self.url}/entities/{entity}/alarms/{alarm}/notification_history/{check}"

    def newest_first(self, entity: str, alarm: str, check: str) -> Iterator[Any]:
        """Yield all items of a check, page by page."""
        url = f"{self.check(entity, alarm, check)}?from=0&limit=2&reverse=true"
        while url:
            page = json.loads(self.ask(url))
            yield from page["values"]
            url = page["metadata"]["next_href"]

    def in_xml(self, entity: str, alarm: str, check: str) -> list[dict[str, str | None]]:
        """Return id and state of the items of a check, read from XML."""
        root = ElementTree.fromstring(self.ask(f"{self.check(entity, alarm, check)}?from=0", "application/xml"))
        items = root.iter("alarm_notification_history_item")
        return [{"id": item.get("id"), "state": item.findtext("state")} for item in items]

    def run(self, run_id: int) -> Any:
        """Return a run."""
        return json.loads(self.ask(f"{self.url}/api/v1/notifications/logs/run/{run_id}"))
