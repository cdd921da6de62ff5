"""The record of a run in the spool: written before the command starts, and replaced when it has ended."""

import fcntl
import os
import time
from collections.abc import Mapping

from notifhist.run import record as records
from notifhist.run.options import Options
from notifhist.run.presets import describe
from notifhist.run.record import Caller, Record
from notifhist.run.settings import Settings
from notifhist.run.spool import ERRORS, OUTPUT, RECORD, Reservation, Spool, line_of
from notifhist.run.texts import redact

_RESERVED_BYTES = 16 * 1024
"""Room for the output's ends and for the messages, beside what the first record takes."""


class NoTenant(Exception):
    """It is not known whose history the record belongs to."""

    def __init__(self) -> None:
        super().__init__("no tenant: give --tenant, NOTIFHIST_TENANT, or `tenant` in /etc/notifhist/run.toml")


class Recording:
    """A record, and the two files for the end of what the command writes, whose first is locked while we live."""

    def __init__(self, options: Options, settings: Settings, variables: Mapping[str, str]) -> None:
        """Write the first record. Raises NoTenant, or OSError: nothing can be written."""
        if not settings.tenant:
            raise NoTenant
        host = os.uname().nodename
        caller = Caller(settings.tenant, host, os.getpid(), os.geteuid(), time.time_ns())
        argv = [redact(word, options.redact) for word in options.command] if options.argv else []
        extra = options.set | ({"tool": options.text("source")} if options.text("source") else {})
        self.record = records.started(caller, describe(options, variables, host), argv, extra)
        self._id: str = self.record["item"]["id"]
        self._spool = Spool.open(settings.spool)
        try:
            self.stores = self._open_stores()
            self._final = self._begin()
        except OSError:
            self.remove()
            raise

    def _open_stores(self) -> tuple[int, int]:
        output = self._spool.open_output(self._id + OUTPUT)
        fcntl.flock(output, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return output, self._spool.open_output(self._id + ERRORS)

    def _begin(self) -> Reservation:
        line = line_of(self.record)
        final = self._spool.reserve(self._id + RECORD, len(line) + _RESERVED_BYTES)
        try:
            self._spool.write(self._id + RECORD, line)
        except OSError:
            final.give_up()
            raise
        return final

    def update(self, record: Record) -> None:
        """Replace the record, while the command is to be run again. Raises OSError."""
        self.record = record
        self._spool.write(self._id + RECORD, line_of(record))

    def finish(self, record: Record) -> None:
        """Replace the record for good. Raises OSError: not even what was set aside on a full disk was enough."""
        try:
            self._final.fill(line_of(record))
        except OSError:
            self._spool.write(self._id + RECORD, line_of(records.without_output(record)))
        self._spool.remove(self._id + OUTPUT, self._id + ERRORS)

    def remove(self) -> None:
        """Remove all of it: the command is not watched after all."""
        self._spool.remove_run(self._id)
