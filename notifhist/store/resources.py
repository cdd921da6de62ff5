"""The recorders of all resources, registered: importing this makes files and requests find each by name."""

from notifhist.store.history.items import ITEM_RECORDER
from notifhist.store.recording import RECORDERS, register
from notifhist.store.runs import RUN_RECORDER

__all__ = ["RECORDERS"]

for _recorder in (ITEM_RECORDER, RUN_RECORDER):  # items first, as an export has them
    register(_recorder)
