"""Sending records to the service, over one connection."""

import http.client
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from notifhist.run.ids import path_id

TIMEOUT_S = 10.0
_BAD_REQUEST, _NOT_FOUND = 400, 404
HOST_REFUSED = "The Host header does not fit."
"""What the service (`web.context`) says of a URL whose host is none of NOTIFHIST_ALLOWED_HOSTS."""
_ANSWER_BYTES = 64 * 1024
_REASON_CHARS = 500
_CONNECTIONS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


class CannotSend(Exception):
    """What is needed to send is missing or wrong."""


class Answer(NamedTuple):
    """What the service said. `status` 0: nothing; `text` tells more, for people."""

    status: int
    text: str
    is_ours: bool = False
    """Whether it is an error document of the service, not of a proxy or another server."""

    @property
    def is_of_wrong_url(self) -> bool:
        """Say whether it is about the URL or its host alone: each path of a record is one that the service has."""
        return self.status == _NOT_FOUND or (self.status == _BAD_REQUEST and HOST_REFUSED in self.text)

    @property
    def may_pass(self) -> bool:
        """Say whether it is worth asking again soon: the service was away or busy."""
        return self.status in (0, 429) or self.status >= 500


class Sender:
    """The service, and the key for it."""

    def __init__(self, url: str, key_file: str) -> None:
        """Read the key. Raises CannotSend."""
        parts = urlsplit(url)
        if parts.scheme not in _CONNECTIONS or not parts.hostname:
            raise CannotSend(f"The URL {url} is not like https://history.example.net")
        try:
            with open(key_file, encoding="ascii") as file:
                key = file.read().strip()
        except (OSError, UnicodeError) as error:
            raise CannotSend(f"The key cannot be read: {key_file}: {error}") from error
        if not re.fullmatch(r"[!-~]+", key):
            raise CannotSend(f"The key is not one word: {key_file}")
        self._headers = {"X-Auth-Token": key, "Content-Type": "application/json"}
        self._prefix = parts.path.rstrip("/")
        self._connection = _CONNECTIONS[parts.scheme](parts.hostname, parts.port, timeout=TIMEOUT_S)

    def send(self, record: Mapping[str, Any]) -> Answer:
        """Create or replace the item of a record."""
        return self.put(path_of(record), json.dumps(record["item"], ensure_ascii=False).encode(errors="replace"))

    def put(self, path: str, body: bytes) -> Answer:
        """Send a JSON body to a path below the service's URL, a second time if the connection had been closed."""
        try:
            return self._put(path, body)
        except (http.client.RemoteDisconnected, ConnectionError):
            pass  # the service closed the connection since the last record; PUT may be repeated
        except (OSError, http.client.HTTPException) as error:
            return self._no_answer(error)
        try:
            self._connection.close()
            return self._put(path, body)
        except (OSError, http.client.HTTPException) as error:
            return self._no_answer(error)

    def close(self) -> None:
        """Close the connection; the next record opens another."""
        self._connection.close()

    def _put(self, path: str, body: bytes) -> Answer:
        self._connection.request("PUT", self._prefix + path, body, self._headers)
        response = self._connection.getresponse()
        text = response.read(_ANSWER_BYTES).decode(errors="replace")
        if not response.isclosed():
            self._connection.close()
        return Answer(response.status, f"{response.status} {text}"[:_REASON_CHARS].strip(), _is_ours(text))

    def _no_answer(self, error: Exception) -> Answer:
        self._connection.close()
        return Answer(0, f"no answer: {str(error) or type(error).__name__}")


def _is_ours(text: str) -> bool:
    """Say whether an answer is an error document of the service."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and {"type", "code", "request_id"} <= document.keys()


def path_of(record: Mapping[str, Any]) -> str:
    """Return the path of a record's item below the service's URL.

    Raises KeyError, TypeError or ValueError: it is no record, or has ids that no path of the service can have.
    """
    names = [*(record[name] for name in ("tenant", "entity_id", "alarm_id", "check_id")), record["item"]["id"]]
    if unfit := [name for name in names if path_id(name) != name]:
        raise ValueError(f"{unfit[0]!r} cannot stand in a path")
    tenant, entity, alarm, check, item = (quote(name, safe="") for name in names)
    return f"/v1.0/{tenant}/entities/{entity}/alarms/{alarm}/notification_history/{check}/{item}"
