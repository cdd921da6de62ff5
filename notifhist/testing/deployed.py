"""A deployed service, by `--notifhist-url`: nothing is emptied there, and nothing of its operator's is changed."""

import datetime as dt
import json
import time
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

import pytest

from notifhist.schemas.document import dump
from notifhist.schemas.query import Tenant
from notifhist.schemas.resources import Resource
from notifhist.serializers.parsed import list_field
from notifhist.testing.answers import ask
from notifhist.testing.files import Files
from notifhist.testing.instants import When
from notifhist.testing.keys import Key
from notifhist.testing.members import made
from notifhist.testing.notifhist import Document, Notifhist
from notifhist.testing.requests import Request
from notifhist.testing.sources import sources_of
from notifhist.transfer.files import BadRecord, Record, read_records

_TOGETHER = 100
"""So many records are sent in one request."""


class DeployedServer:
    """Where a deployed service listens."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        parts = urlsplit(self.url)
        self.port = parts.port or (443 if parts.scheme == "https" else 80)


class DeployedNotifhist(Notifhist):
    """A service of somebody else, seen through one key. Records go to the bare URLs, so to the key's tenant."""

    def __init__(self, url: str, key: Key, tenant: str, files: Files) -> None:
        super().__init__(url, tenant, {"X-Auth-Token": key}, files)
        self._key = key

    @property
    def now_ms(self) -> int:
        """See Notifhist. It is the time of this machine."""
        return time.time_ns() // 1_000_000

    def key(self, *roles: str, tenant: str | None = None, expires: When | dt.timedelta | None = None) -> str:
        if roles or tenant not in (None, self.tenant) or expires is not None:
            self._skip("key() makes no keys there")
        return self._key

    def load(self, *paths: str | Path, tenant: str | None = None) -> int:
        """See Notifhist. All records become the key's tenant's."""
        __tracebackhide__ = True
        count = 0
        for source in sources_of(paths, self._files):
            records = list(read_records(source.path, source.destination))
            if bad := [each for each in records if isinstance(each, BadRecord)]:
                pytest.fail("\n".join(f"{source.path}:{each.line}: {each.problem}" for each in bad), pytrace=False)
            self._send_all(each for each in records if isinstance(each, Record))
            count += len(records)
        return count

    def _send_all(self, records: Iterable[Record]) -> None:
        __tracebackhide__ = True
        for (_, owner), some in groupby(records, key=lambda each: (each.resource.name, each.owner)):
            same = list(some)
            resource = same[0].resource
            documents = [dump(resource.document, each.document) for each in same]
            for start in range(0, len(documents), _TOGETHER):
                container = {list_field(resource.container)[0]: documents[start : start + _TOGETHER]}
                self._send(resource, owner, container)

    def _record(self, resource_name: str, members: Mapping[str, Any], place: Mapping[str, str]) -> Document:
        __tracebackhide__ = True
        return self._send(*made(resource_name, self.tenant, members, place))

    def _send(self, resource: Resource, owner: Tenant, document: Document) -> Document:
        """Record a document, or a container of them, and return the answer; the test fails if it is refused."""
        __tracebackhide__ = True
        bare = resource.path.partition("/")[2]  # behind the tenant
        path = bare.format(**{name: quote(value, safe="") for name, value in vars(owner).items()})
        headers = {**self._own_headers, "Content-Type": "application/json", "Accept": "application/json"}
        answer = ask("POST", self.url, f"/{path}", headers, json.dumps(document).encode())
        if answer.status not in (200, 201):
            pytest.fail(f"POST /{path} answered {answer.status}: {answer.body.decode(errors='replace')}", pytrace=False)
        recorded: Document = answer.json
        return recorded

    def freeze(self, when: When) -> None:
        self._skip("freeze() cannot stop its clock")

    def tick(self, **span: float) -> None:
        self._skip("tick() cannot move its clock")

    def fail(self, **fault: Any) -> None:
        self._skip("fail() makes no faults there")

    @property
    def requests(self) -> list[Request]:
        self._skip("its requests are not seen here")

    def _skip(self, reason: str) -> NoReturn:
        __tracebackhide__ = True
        pytest.skip(f"{self.url} is a deployed service: {reason}.")
