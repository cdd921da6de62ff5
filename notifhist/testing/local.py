"""The service in the process that runs the tests: one server for the session, an application for each test."""

import datetime as dt
import difflib
import itertools
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from notifhist import config
from notifhist.auth import GRANTS
from notifhist.errors import ApiError, BadRequest
from notifhist.factory import App, create_app
from notifhist.serializers.bodies import ExpectedBody, parse_body
from notifhist.store.database import Database, discard_connection, ensure_connected
from notifhist.store.machine import machine_directory
from notifhist.store.recording import record, recorder_of
from notifhist.testing.clock import SetClock
from notifhist.testing.faults import Fault
from notifhist.testing.files import Files
from notifhist.testing.instants import When, ms_of
from notifhist.testing.keys import Key
from notifhist.testing.members import made
from notifhist.testing.notifhist import Document, Notifhist
from notifhist.testing.requests import Request
from notifhist.testing.server import ThreadedServer
from notifhist.testing.shim import OWN, Scene, Shim
from notifhist.testing.sources import of_tenant, sources_of
from notifhist.transfer.files import owner_problems
from notifhist.transfer.load import Loader
from notifhist.transfer.scratch import SETTINGS, TENANT, add_new_key, opened, scratch_folder, url_of
from notifhist.web.context import Service

_DEFAULTS = {each.name: each.default for each in config.SETTINGS} | SETTINGS
"""All settings, so that those in the environment of whoever runs the tests change nothing."""


class LocalServer:
    """A server whose state `reset` throws away. Only the thread that runs the tests calls it."""

    def __init__(self, folder: Path, settings: Mapping[str, object]) -> None:
        self._folder, self._settings = folder, settings
        self._numbers = itertools.count()
        self._template = folder / "template.db"
        with opened(url_of(self._template), create=True) as db:
            self._key, _ = add_new_key(db, "the plugin's own", TENANT, (), 0)
        self._app, _, scene = self._make({}, None)
        self._shim = Shim(scene)
        self._server = ThreadedServer(self._shim)
        self.url, self.port = self._server.url, self._server.port

    def reset(self, settings: Mapping[str, object], now_ms: int | None, files: Files) -> "LocalNotifhist":
        """Put an application over an empty database in the place of the former one, whose files are deleted.

        `now_ms`: where its clock stands; None: it runs. Raises ConfigError for a bad setting.
        """
        app, clock, scene = self._make(settings, now_ms)
        former, self._app, self._shim.scene = self._app, app, scene
        _delete(former)
        return LocalNotifhist(self, app.extensions["notifhist"], clock, files)

    def _make(self, settings: Mapping[str, object], now_ms: int | None) -> tuple[App, SetClock, Scene]:
        given = {**self._settings, **settings}
        if unknown := given.keys() - _DEFAULTS.keys():
            raise config.ConfigError("; ".join(map(_no_such_setting, sorted(unknown))))
        if "DATABASE_URL" in given:
            raise config.ConfigError("DATABASE_URL: each test has a database of its own; load() fills it")
        path, clock = self._folder / f"{next(self._numbers)}.db", SetClock(now_ms)
        app = create_app({**_DEFAULTS, **given, "DATABASE_URL": url_of(path)}, clock=clock)
        shutil.copyfile(self._template, path)  # now, since a bad setting has been refused before
        service: Service = app.extensions["notifhist"]
        if now_ms is None and service.settings.now is not None:
            clock.freeze(service.settings.now)
        db = service.db
        ensure_connected(db)  # while a connection is open, that of a request which closes has no log to write back
        return app, clock, Scene(app, db)

    @property
    def own_headers(self) -> dict[str, str]:
        """The headers of the plugin's own requests."""
        return {OWN: self._shim.token, "X-Auth-Token": Key(self._key)}

    @property
    def scene(self) -> Scene:
        """What belongs to the current test."""
        return self._shim.scene

    def close(self) -> None:
        """Stop serving, and delete everything."""
        self._server.close()
        _delete(self._app)


def _no_such_setting(name: str) -> str:
    plain = name.upper().removeprefix(config.PREFIX)
    close = difflib.get_close_matches(plain, _DEFAULTS, 1)
    leave_out = f"; leave {config.PREFIX} out" if name.startswith(config.PREFIX) else ""
    return f"no such setting: {name}" + (f" (there is {close[0]})" if close else "") + leave_out


def _delete(app: App) -> None:
    """Close a database, and delete its files."""
    service: Service = app.extensions["notifhist"]
    service.db.close()
    url = service.settings.database_url
    if file := config.sqlite_file(url):
        for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
            file.with_name(name).unlink(missing_ok=True)
    shutil.rmtree(machine_directory(url), ignore_errors=True)


@contextmanager
def local_server(settings: Mapping[str, object]) -> Iterator[LocalServer]:
    """Start a server, with settings named without NOTIFHIST_. Raises ConfigError for a bad one."""
    with scratch_folder() as folder:
        server = LocalServer(folder, settings)
        try:
            yield server
        finally:
            server.close()


class LocalNotifhist(Notifhist):
    """The service of one test."""

    def __init__(self, server: LocalServer, service: Service, clock: SetClock, files: Files) -> None:
        super().__init__(server.url, TENANT, server.own_headers, files)
        self._service, self._clock, self._scene = service, clock, server.scene
        self._ordinals = itertools.count()

    @property
    def now_ms(self) -> int:
        return self._clock.now_ms()

    def key(self, *roles: str, tenant: str | None = None, expires: When | dt.timedelta | None = None) -> str:
        """See Notifhist. Raises ValueError for a role that does not exist."""
        __tracebackhide__ = True
        if unknown := set(roles) - GRANTS.keys():
            raise ValueError(f"There is no role {', '.join(sorted(unknown))}; there are {', '.join(GRANTS)}.")
        if isinstance(expires, dt.timedelta):
            expires = self.now_ms + expires // dt.timedelta(milliseconds=1)
        until_ms = None if expires is None else _ms_of(expires, "expires")
        with self._connected() as db:
            key, _ = add_new_key(db, "a test's", tenant or self.tenant, roles, self.now_ms, until_ms)
        return Key(key)

    def load(self, *paths: str | Path, tenant: str | None = None) -> int:
        __tracebackhide__ = True
        sources = sources_of(paths, self._files)
        with self._connected() as db:
            loader = Loader(db, self._clock)
            for source in sources:
                loader.load(source if tenant is None else of_tenant(source, tenant))
        if loader.bad:
            pytest.fail("\n".join(loader.bad), pytrace=False)
        return loader.stored + loader.present

    def _record(self, resource_name: str, members: Mapping[str, Any], place: Mapping[str, str]) -> Document:
        """See Notifhist. It is recorded as by a POST, past the rate limits and faults of the client under test."""
        __tracebackhide__ = True
        resource, owner, document = made(resource_name, self.tenant, members, place)
        recorder, now_ticks = recorder_of(resource.name), self._clock.now_ticks()
        try:
            if problems := owner_problems(owner):
                raise BadRequest("No such place.", problems)
            body = parse_body(json.dumps(document).encode(), "application/json", ExpectedBody(resource.document))
            draft = recorder.draft(owner, body.document, now_ticks, next(self._ordinals))
            with self._connected() as db:
                recorded = record(db, [draft], now_ticks, self._service.oldest_ms())
        except ApiError as error:
            raise pytest.fail.Exception(f"The {resource.name} cannot be recorded. {error}", pytrace=False) from None
        stored: Document = json.loads(recorded.documents[0])
        return stored

    @contextmanager
    def _connected(self) -> Iterator[Database]:
        """Lend the database to this thread, whichever it is: a test may prepare from `asyncio.to_thread` or a callback.

        A connection that is opened here is closed again, since the next reset deletes the file.
        """
        db = self._service.db
        if not db.is_closed():  # the thread that runs the tests keeps one
            yield db
            return
        ensure_connected(db)
        try:
            yield db
        finally:
            discard_connection(db)

    def freeze(self, when: When) -> None:
        __tracebackhide__ = True
        self._clock.freeze(_ms_of(when, "when"))

    def tick(self, **span: float) -> None:
        __tracebackhide__ = True
        try:
            moved = dt.timedelta(**span)
        except (TypeError, OverflowError) as error:
            raise type(error)(f"tick() takes what datetime.timedelta does, such as hours=1: {error}") from None
        self._clock.tick(moved // dt.timedelta(microseconds=1) * 10)

    def fail(self, *, status: int = 503, after: int = 0, times: int = 1, **fault: Any) -> None:
        __tracebackhide__ = True
        given = {"retry_after": None, "delay": 0.0, "cut_after": None, **fault}
        caller = sys._getframe(1)
        try:
            wanted = Fault(status, after, times, **given, file=caller.f_code.co_filename, line=caller.f_lineno)
        except (TypeError, ValueError) as error:  # where in the code it is noticed tells nobody anything
            raise type(error)(*error.args) from None
        self._scene.faults.append(wanted)

    def assert_both(self, path: str) -> None:
        """See Notifhist. Both are of one moment: a default of `to` is now."""
        __tracebackhide__ = True
        with self._clock.held():
            super().assert_both(path)

    @property
    def _unmet_faults(self) -> list[Fault]:
        return [fault for fault in self._scene.faults if not fault.was_met]

    @property
    def requests(self) -> list[Request]:
        return self._scene.requests


def _ms_of(when: When, name: str) -> int:
    __tracebackhide__ = True
    try:
        return ms_of(when)
    except ValueError as error:
        raise ValueError(f"{name}={when!r}: {error}") from None
