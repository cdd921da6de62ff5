"""The recorders of all resources: whoever moves records of any kind goes by this table."""

from notifhist.store.history.items import ITEM_RECORDER
from notifhist.store.recording import Recorder
from notifhist.store.runs import RUN_RECORDER

RECORDERS: dict[str, Recorder] = {each.resource.name: each for each in (ITEM_RECORDER, RUN_RECORDER)}
"""By the resource's name; items first, as an export has them."""
