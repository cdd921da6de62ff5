"""gunicorn's arbiter, which tells systemd what it does; gunicorn itself tells once that it listens (sd_notify(3))."""

import time

from gunicorn.arbiter import Arbiter as BaseArbiter
from gunicorn.systemd import sd_notify


class Arbiter(BaseArbiter):  # type: ignore[misc]  # gunicorn ships no types
    """The master process. Without NOTIFY_SOCKET in the environment it tells nobody."""

    def reload(self) -> None:
        """Replace the workers. The unit is `reloading` until the old ones have ended, 30 s at most."""
        sd_notify(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}", self.log)
        super().reload()
        sd_notify("READY=1", self.log)

    def stop(self, graceful: bool = True) -> None:
        """Stop the workers. The unit is `deactivating` at once, also if nobody told systemd to stop it."""
        sd_notify("STOPPING=1", self.log)
        super().stop(graceful)
