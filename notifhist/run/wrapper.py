"""`notifhist-run`: the order of its work.

Above all, the command runs as it would without us. Whatever fails before it starts makes us become the command at
once; whatever fails afterwards is told to syslog, and changes nothing.
"""

import os
import sys
import syslog
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from notifhist.run.detached import start_flushing
from notifhist.run.inherited import original_environment
from notifhist.run.option_table import usage
from notifhist.run.options import BadOptions, Options, parse_options
from notifhist.run.process import Environment, become, closed_standard_files, leave
from notifhist.run.record import finished, with_attempt
from notifhist.run.recording import Recording
from notifhist.run.running import CannotStart, Command, Outcome
from notifhist.run.settings import OPTION_NAMES, load_settings
from notifhist.run.signals import Signals
from notifhist.run.stdin import Stdin
from notifhist.run.streams import Outputs, copy_rest

_EXIT_CODE_USAGE = 2


def main() -> NoReturn:
    """Run the command of `sys.argv`."""
    run(sys.argv[1:])


def run(arguments: Sequence[str]) -> NoReturn:
    """Run the command of some arguments, and end as it ends."""
    if list(arguments[:1]) in (["--help"], ["-h"]):
        os.write(1, usage().encode())
        os._exit(0)
    closed = closed_standard_files()
    environment = original_environment()
    variables = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in environment.items()}
    try:
        options = parse_options(arguments, variables)
    except BadOptions as problem:
        if not problem.command:
            _refuse(str(problem))
        _run_bare(problem.command, environment, problem)
    if not options.command:
        _refuse("no command")
    try:
        watched = Watched(options, environment, variables, closed)
    except Exception as problem:  # noqa: BLE001 - whatever it is, the notification goes out
        _run_bare(options.command, environment, problem)
    leave(watched.run())


def _refuse(problem: str) -> NoReturn:
    """Say how this is called: there is no command that could be run."""
    with suppress(OSError):
        os.write(2, f"notifhist-run: {problem}\n{usage()}".encode(errors="replace"))
    os._exit(_EXIT_CODE_USAGE)


def _run_bare(command: Sequence[str], environment: Environment, problem: Exception) -> NoReturn:
    """Become the command, and leave one line in syslog; someone who tries it at a terminal sees it there."""
    _log(f"not recorded: {problem}")
    if os.isatty(2):
        with suppress(OSError):
            os.write(2, f"notifhist-run: not recorded: {problem}\n".encode(errors="replace"))
    os._exit(become(command, environment))


def _log(text: str) -> None:
    syslog.openlog("notifhist-run", syslog.LOG_PID, syslog.LOG_DAEMON)
    with suppress(ValueError, OSError):
        syslog.syslog(syslog.LOG_WARNING, " ".join(text.split()).encode(errors="replace").decode())


class Watched:
    """A command and the record of it. Making one writes the record, and may raise anything."""

    def __init__(
        self, options: Options, environment: Environment, variables: Mapping[str, str], closed: Sequence[int]
    ) -> None:
        self._options, self._environment, self._closed = options, environment, closed
        self._settings = load_settings(options.texts(OPTION_NAMES), variables)
        self._recording = Recording(options, self._settings, variables)
        try:
            self._outputs = self._open_outputs()
            self._stdin = Stdin(is_repeated=options.retries > 0)
            self._signals = Signals()
        except Exception:
            self._recording.remove()
            raise

    def run(self) -> int:
        """Run the command, more than once if that was asked for; return the wait status to end with."""
        command, stdin = Command(self._options.command, self._environment, self._signals), self._stdin
        try:
            outcome = self._run_once(command, stdin)
        except CannotStart as problem:  # there is no process for it but this one
            self._recording.remove()
            self._signals.give_back()
            for target, source in stdin.rewound().items():
                os.dup2(source, target)
            _run_bare(self._options.command, self._environment, problem)
        status = self._repeat(command, stdin, outcome)
        with suppress(OSError):
            copy_rest(self._outputs.copied)
        if self._options.flush and self._settings.can_send:
            with suppress(OSError):
                start_flushing(self._settings)
        return status

    def _repeat(self, command: Command, stdin: Stdin, outcome: Outcome) -> int:
        """Run the command again while it fails and may; finish the record; return the wait status."""
        status = outcome.status
        try:
            record = with_attempt(self._recording.record, outcome.ended)
            for _ in range(self._options.retries):
                if self._is_success(outcome) or self._signals.to_end:
                    break
                with suppress(OSError):  # a full disk does not keep the command from being run again
                    self._recording.update(record)
                if ended_by := self._signals.wait(self._options.retry_delay_s):
                    status = ended_by
                    break
                try:
                    former, self._outputs = self._outputs, self._open_outputs()
                    self._outputs.go_on_after(former)
                    copy_rest(former.copied)
                    outcome = self._run_once(command, stdin)
                except (CannotStart, OSError):
                    break  # there are no more processes or files: the last attempt was the last
                status = outcome.status
                record = with_attempt(record, outcome.ended)
            self._recording.finish(finished(record, success=self._is_success(outcome)))
        except Exception as problem:  # noqa: BLE001 - whatever it is, the caller gets the command's status
            _log(f"record not finished: {problem}")
        return status

    def _open_outputs(self) -> Outputs:
        return Outputs(self._closed, self._recording.stores, self._options.redact)

    def _run_once(self, command: Command, stdin: Stdin) -> Outcome:
        """Run the command. Raises CannotStart."""
        return command.run(self._outputs, self._outputs.files | stdin.rewound(), self._options.timeout_s)

    def _is_success(self, outcome: Outcome) -> bool:
        return not outcome.is_time_up and outcome.ended.status in self._options.success_codes
