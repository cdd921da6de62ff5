"""The object that a test gets: it prepares what the service has, and looks at what the service answers."""

from __future__ import annotations

import datetime as dt
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from notifhist.testing.answers import Answer, ask
from notifhist.testing.expectations import JSON, XML, Form, check
from notifhist.testing.files import Files
from notifhist.testing.instants import When
from notifhist.testing.requests import Request

if TYPE_CHECKING:
    from notifhist.testing.faults import Fault

Document = dict[str, Any]


class Notifhist(ABC):
    """The service, emptied for this test; with `--notifhist-url` a deployed one, where nothing is emptied.

    `url` has no slash at its end; `tenant` is the tenant of the keys, unless another one is asked for.
    """

    url: str
    tenant: str

    def __init__(self, url: str, tenant: str, own_headers: Mapping[str, str], files: Files) -> None:
        self.url, self.tenant, self._own_headers, self._files = url, tenant, own_headers, files

    @property
    @abstractmethod
    def now_ms(self) -> int:
        """The time of the service, ms since the epoch, UTC."""

    @abstractmethod
    def key(self, *roles: str, tenant: str | None = None, expires: When | dt.timedelta | None = None) -> str:
        """Return a key with some roles, or with every role; `expires` is a time, or a span from now.

        A deployed service makes none: there it is the one that was given, and for a special one the test is skipped.
        """

    @abstractmethod
    def load(self, *paths: str | Path, tenant: str | None = None) -> int:
        """Store the records of files, or of folders laid out like the URLs; return how many they have.

        `tenant` is in the place of the one in the path; the lines of an export name their own. A record that does not
        fit fails the test, with its file and line, and then nothing of its file is stored.
        """

    def item(self, entity: str = "en", alarm: str = "al", check: str = "ch", **members: Any) -> Document:
        """Record an item and return it; what the contract requires is filled in. It is of now unless it says when.

        A member that is none, but nearly one that is not given, fails the test: beside `state`, `stage` is stored.
        """
        __tracebackhide__ = True
        return self._record("item", members, {"entity": entity, "alarm": alarm, "check": check})

    def run(self, **members: Any) -> Document:
        """Record a run, named as in the API (`notificationType`), and return it; what is required is filled in."""
        __tracebackhide__ = True
        return self._record("run", members, {})

    def log(self, **members: Any) -> Document:
        """Record a log, named as in the API (`runId`), and return it; what is required is filled in."""
        __tracebackhide__ = True
        return self._record("log", members, {})

    @abstractmethod
    def _record(self, resource_name: str, members: Mapping[str, Any], place: Mapping[str, str]) -> Document:
        """Record what a test makes, and return it as it is stored; `place` is that of an item."""

    @abstractmethod
    def freeze(self, when: When) -> None:
        """Let the service's clock stand at a time. A deployed one's cannot: the test is skipped."""

    @abstractmethod
    def tick(self, **span: float) -> None:
        """Move the service's clock, by what `datetime.timedelta` takes. For a deployed one the test is skipped."""

    @abstractmethod
    def fail(
        self,
        *,
        status: int = 503,
        after: int = 0,
        times: int = 1,
        retry_after: float | str | None = None,
        delay: float = 0.0,
        cut_after: int | None = None,
    ) -> None:
        """Let the next `times` answers, but for `after` before them, be this fault, in the caller's format.

        Below 400 `status` means the true answer, delayed or cut. `retry_after` and `delay` are in s; a text, such as a
        date, is in the header Retry-After alone. After `cut_after` bytes of the body the connection is closed. Further
        faults follow this one. One that no request has met is an UnmetFaultWarning when the test has passed. Raises
        ValueError for what can be no answer. Not for a deployed service: the test is skipped.
        """

    @property
    def _unmet_faults(self) -> list[Fault]:
        """The faults that no request has met."""
        return []

    @property
    @abstractmethod
    def requests(self) -> list[Request]:
        """What the client under test has asked in this test. Not of a deployed service: the test is skipped."""

    def get(self, path: str, accept: str = "application/json", key: str | None = None) -> Answer:
        """Return the answer to a GET of a path or of a link, by a key with every role unless another is given.

        It is answered as any request, so faults and rate limits hold, but it is none of `requests`. Raises
        ValueError for a path without a slash.
        """
        __tracebackhide__ = True
        if not path.startswith(("/", "http://", "https://")):
            raise ValueError(f"get({path!r}): a path begins with a slash, such as /entities")
        headers = {"Accept": accept, **self._own_headers}
        if key is not None:
            headers["X-Auth-Token"] = key
        return ask("GET", self.url, path, headers)

    def assert_json(self, path: str, expected: Document | list[Any] | str | Path) -> None:
        """Compare the answer with a dict, a text or a file: the error names the first difference by its path.

        The service's URL is `{url}` in files and texts.
        """
        __tracebackhide__ = True
        self._assert(path, expected, JSON)

    def assert_xml(self, path: str, expected: Document | str | Path) -> None:
        """As `assert_json`, of the XML. A dict is what the JSON has; as XML it is what the service makes of it."""
        __tracebackhide__ = True
        self._assert(path, expected, XML)

    def assert_both(self, path: str) -> None:
        """Compare JSON and XML of one resource: both must be answered, and say the same."""
        __tracebackhide__ = True
        in_json = self.get(path)
        if in_json.status != 200:
            raise AssertionError(f"GET {path} answered {in_json.status}: {in_json.body[:500].decode(errors='replace')}")
        self._assert(path, json.loads(in_json.body), XML)

    def _assert(self, path: str, expected: Any, form: Form) -> None:
        __tracebackhide__ = True
        answer = self.get(path, form.accept)
        check(path.removeprefix(self.url), answer, expected, form, self.url, self._files)
