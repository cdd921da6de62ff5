"""Starting a command exactly as its caller would have, and ending exactly as it did."""

import errno
import os
import resource
import signal
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from notifhist.run.inherited import IGNORED_BY_PYTHON, ignored_before_python
from notifhist.run.signals import HANDLED

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""Exit codes of a command that could not be started, as shells have them."""

Environment = Mapping[bytes, bytes]


class CannotExecute(OSError):
    """The command is not there, or nothing that can be executed."""


_STANDARD_FILES = (0, 1, 2)


def become(command: Sequence[str], environment: Environment) -> int:
    """Become the command; return its exit code if it cannot be started, and say so on standard error."""
    restore_signals(ignored_before_python())
    try:
        execute(command, environment)
    except OSError as error:
        return explain(command, error)


def explain(command: Sequence[str], error: OSError) -> int:
    """Say on standard error why a command cannot be started; return its exit code."""
    with suppress(OSError):
        os.write(2, f"notifhist-run: {command[0]}: {error.strerror}\n".encode(errors="surrogateescape"))
    return NOT_FOUND if error.errno in (errno.ENOENT, errno.ENOTDIR) else NOT_EXECUTABLE


def restore_signals(ignored: Iterable[int]) -> None:
    """Give signals the handling that the caller gave them. `ignored`: those that it ignored."""
    for changed in IGNORED_BY_PYTHON:
        signal.signal(changed, signal.SIG_DFL)
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


def execute(command: Sequence[str], environment: Environment) -> NoReturn:
    """Become the command, as execvp(3) would: through PATH, and a script without `#!` by the shell. Raises OSError."""
    words = [os.fsencode(word) for word in command]
    folders = environment.get(b"PATH", os.defpath.encode()).split(b":")
    paths = [words[0]] if b"/" in words[0] else [os.path.join(folder, words[0]) for folder in folders]
    failure = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    for path in paths:
        try:
            try:
                os.execve(path, words, environment)
            except OSError as error:
                if error.errno != errno.ENOEXEC:
                    raise
                os.execve(b"/bin/sh", [b"sh", path, *words[1:]], environment)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            failure = error
    raise failure


def spawn(
    command: Sequence[str],
    environment: Environment,
    files: Mapping[int, int],
    ignored: Iterable[int],
    mask: Iterable[int],
) -> int:
    """Start the command in our process group; return its pid.

    `files`: the descriptors that become its standard ones; the others are inherited. `ignored`: the signals that our
    caller ignored. `mask`: those that it blocked; all that we handle must be blocked now.
    Raises CannotExecute, or another OSError: there are no more processes or files.
    """
    report, its_report = os.pipe()
    pid = os.fork()
    if pid == 0:
        number = errno.EIO
        try:
            for target, source in files.items():
                os.dup2(source, target)
            for each in HANDLED:
                signal.signal(each, signal.SIG_DFL)
            restore_signals(ignored)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            execute(command, environment)
        except OSError as error:
            number = error.errno or number
        finally:
            os.write(its_report, b"%d" % number)
            os._exit(NOT_EXECUTABLE)
    os.close(its_report)
    problem = os.read(report, 16)
    os.close(report)
    if problem:
        os.waitpid(pid, 0)
        raise CannotExecute(int(problem), os.strerror(int(problem)))
    return pid


def closed_standard_files() -> list[int]:
    """Return those of the descriptors 0 to 2 that the caller closed, and open them, so that nothing of ours is one."""
    closed = []
    for number in _STANDARD_FILES:
        try:
            os.fstat(number)
        except OSError:
            closed.append(number)
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number; no command inherits it
    return closed


def close_descriptors(keep: Container[int]) -> None:
    """Close all descriptors but these, in a child that is no command: it must hold nothing of the caller's open."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in keep:
            with suppress(OSError):  # the one that listed them
                os.close(int(name))


def leave(status: int) -> NoReturn:
    """End as a process with this wait status did. Python's own end, which takes 5 ms, is left out."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))  # it had its own
        with suppress(OSError, ValueError):  # KILL and STOP have no handler
            signal.signal(number, signal.SIG_DFL)
        with suppress(OSError, ValueError):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
        os.kill(os.getpid(), number)
        os._exit(128 + number)  # the first process of a container does not die of signals
    os._exit(os.WEXITSTATUS(status))
