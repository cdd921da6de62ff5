"""The recorders of all resources, by the resource's name; importing this module registers them."""

from notifhist.store.history.items import ITEM_RECORDER
from notifhist.store.logs import LOG_RECORDER
from notifhist.store.recording import RECORDERS
from notifhist.store.runs import RUN_RECORDER

__all__ = ["RECORDERS"]

# Items first, as an export has them.
RECORDERS.update({each.resource.name: each for each in (ITEM_RECORDER, RUN_RECORDER, LOG_RECORDER)})
