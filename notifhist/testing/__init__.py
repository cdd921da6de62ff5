"""Contract tests of other projects against the service: the pytest plugin (docs/testing.md).

`plugin` is loaded by every run of pytest in an environment that has the service. It, and what it imports at once,
know the standard library and pytest alone; the service itself is imported when a fixture is used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from notifhist.testing.notifhist import Notifhist
    from notifhist.testing.process import Process

__all__ = ["Notifhist", "Process", "UnmetFaultWarning"]
_HOMES = {"Notifhist": "notifhist.testing.notifhist", "Process": "notifhist.testing.process"}


class UnmetFaultWarning(UserWarning):
    """A test passed, and no request has met a fault that it asked for by `fail()`."""


def __getattr__(name: str) -> Any:
    """Return a class for annotations: a run of pytest without our fixtures need not import `http.client`."""
    if name not in _HOMES:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
