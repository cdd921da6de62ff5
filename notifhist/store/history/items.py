"""The stored columns of an item, and how items of many checks are recorded together."""

import marshal
import re
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple, cast

from notifhist.errors import ApiError, BadRequest, ItemConflict
from notifhist.schemas.document import Document
from notifhist.schemas.history import ITEM
from notifhist.schemas.item_ids import ItemKey, complete_item, id_of, key_of
from notifhist.schemas.query import CheckPath
from notifhist.schemas.resources import ITEM_RESOURCE
from notifhist.serializers import as_json, as_xml
from notifhist.serializers.stored import StoredDocument, StoredForm, encoded
from notifhist.store.database import Database, Table
from notifhist.store.database.sql import rows
from notifhist.store.deliveries import recording as delivery_index
from notifhist.store.deliveries.derive import Delivery, deliveries_of
from notifhist.store.deliveries.recording import Derived
from notifhist.store.equality import equal_texts
from notifhist.store.history.alone import store_alone
from notifhist.store.history.room import Room
from notifhist.store.history.series import ensure_series, find_series
from notifhist.store.recording import Stored

KEY = {"series_id": "bigint", "ticks": "bigint", "clock_and_node": "bigint"}
TEXTS = {"document": "text", "xml": "text", "xml_version": "integer"}
TABLE = Table("history_item", KEY | TEXTS, tuple(KEY), long_texts=("document", "xml"))

_BATCH = 1000
"""Items that are inserted by one statement."""
_SHORT_CHARACTERS = 16 * 1024
"""XML is at most 1003 times as long as its JSON, so the XML of a shorter JSON text is never too long."""
_MAX_XML_BYTES = 64 * 1024 * 1024
"""How many bytes of memory the XML of one item may take; while it is rendered, it is there three times.

Python keeps a text with 1, 2 or 4 bytes a character, so that is 64, 32 or 16 million characters.
"""
_WIDE = {4: re.compile("[\U00010000-\U0010ffff]"), 2: re.compile("[\u0100-\uffff]")}
_MAX_XML_RATIO = 8
"""XML that exceeds its JSON by more than this factor is not stored, but rendered for each answer."""

_FIND = """SELECT param.series_id, param.ticks, param.clock_and_node, {document} FROM {param}
JOIN history_item AS item ON item.series_id = param.series_id AND item.ticks = param.ticks
    AND item.clock_and_node = param.clock_and_node"""

_READ_BATCH = 500
_BEFORE_ALL = (-(2**63), -(2**63))
_NEXT = f"""SELECT ticks, clock_and_node, {{document}} FROM history_item
WHERE series_id = :series_id AND (ticks, clock_and_node) > (:ticks, :clock_and_node)
ORDER BY ticks, clock_and_node LIMIT {_READ_BATCH}"""
_ALL_SERIES = """SELECT series.id, tenant.name, entity_id, alarm_id, check_id
FROM series JOIN tenant ON tenant.id = series.tenant_id ORDER BY series.tenant_id, series.id"""

RowKey = tuple[Any, ...]
"""The values of KEY."""


class Texts(NamedTuple):
    """The values of an item's columns TEXTS, which are all columns beside its key."""

    document: str
    xml: str | None
    xml_version: int


def texts_of(document: Document, json: str | None = None, room: Room | None = None) -> Texts:
    """Return the texts of an item; `json` is its JSON text if that is rendered already.

    XML that does not fit into `room` is not stored, but rendered for each answer, as that of a bad ratio. Raises
    BadRequest if its XML might need more than _MAX_XML_BYTES.
    """
    if json is None:
        json = as_json.text(document)
    if len(json) > _SHORT_CHARACTERS:
        characters = _MAX_XML_BYTES // _bytes_of_a_character(json)
        if as_xml.longest(document) > characters:
            raise BadRequest(
                "The item does not fit.", f"As XML it may have {characters} characters; names are repeated."
            )
    xml = None
    if room is None or room.characters > 0:
        xml = as_xml.element(document, ITEM, ITEM.root)
        if room is not None:
            room.characters -= len(xml)
        if len(xml) > _SHORT_CHARACTERS + _MAX_XML_RATIO * len(json):
            xml = None
    return Texts(json, xml, as_xml.MAPPING_VERSION)


def _bytes_of_a_character(text: str) -> int:
    """Return how many bytes Python keeps for each character of the text: as many as the widest one needs."""
    if text.isascii():
        return 1
    return next((width for width, wide in _WIDE.items() if wide.search(text)), 1)


class ItemDraft:
    """An item that is about to be stored: its check, its key, and its JSON text."""

    __slots__ = ("_deliveries", "_document", "_item", "_packed", "_texts", "key", "owner")

    def __init__(self, owner: CheckPath, item: Document) -> None:
        """Take a complete item."""
        self.owner = owner
        self.key = key_of(item["id"])
        self._document = as_json.text(item)
        self._item: Document | None = item
        self._texts: Texts | None = None
        self._deliveries: Sequence[Delivery] = ()
        self._packed = b""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a rendered draft as its place and bytes: `load` pickles it twice before it looks into it."""
        if self._item is not None:
            return ItemDraft, (self.owner, self._item)
        packed = self._packed or marshal.dumps((*self.texts(), [tuple(each) for each in self._deliveries]))
        return _rendered, (*vars(self.owner).values(), *self.key, packed)

    @property
    def recorder(self) -> "ItemRecorder":
        """See Draft."""
        return ITEM_RECORDER

    @property
    def identity(self) -> tuple[str | int, ...]:
        """See Draft."""
        return *vars(self.owner).values(), *self.key

    @property
    def name(self) -> str:
        """See Draft."""
        return id_of(self.key)

    @property
    def document(self) -> str:
        """See Draft."""
        self._unpack()
        return self._document

    @property
    def parts(self) -> int:
        """See Draft."""
        return len(self._item["notification_results"]) if self._item else len(self.deliveries())

    def has_expired(self, oldest_ms: int | None) -> bool:
        """See Draft."""
        return oldest_ms is not None and self.key.timestamp < oldest_ms

    def equals(self, stored: str) -> bool:
        """See Draft."""
        return equal_texts(stored, self.document)

    def render(self, room: Room | None = None) -> None:
        """Render the texts now, instead of when they are stored, and let go of the item. See `texts_of`."""
        self._unpack()
        if self._item is not None:
            self._texts = texts_of(self._item, self._document, room)
            self._deliveries = deliveries_of(self.owner, self._item)
            if room is not None:
                room.take(self._deliveries)
            self._item = None

    def texts(self) -> Texts:
        """Return the texts of the item. Raises as `texts_of`."""
        self.render()
        return cast("Texts", self._texts)

    def deliveries(self) -> Sequence[Delivery]:
        """Return the deliveries of the item. Raises as `deliveries_of`."""
        self.render()
        return self._deliveries

    def _unpack(self) -> None:
        if self._packed:
            *texts, deliveries = marshal.loads(self._packed)  # noqa: S302 - ours, by `load`
            self._packed = b""
            self._texts, self._deliveries = Texts(*texts), [Delivery(*each) for each in deliveries]
            self._document = self._texts.document


def _rendered(*values: Any) -> ItemDraft:
    """Return the draft of the values that `ItemDraft.__reduce__` gives."""
    draft = ItemDraft.__new__(ItemDraft)
    draft.owner, draft.key, draft._packed = CheckPath(*values[:4]), ItemKey(*values[4:6]), values[6]
    draft._item = None
    return draft


class ItemRecorder:
    """Records items; see `store.recording.Recorder`."""

    resource = ITEM_RESOURCE

    def draft(self, owner: Any, document: Document, now_ticks: int, ordinal: int = 0) -> ItemDraft:
        """Return the item with its id and timestamp; `ordinal` keeps new items of one millisecond in order."""
        return ItemDraft(owner, complete_item(document, now_ticks, ordinal))

    def conflict(self, draft: Any) -> ApiError:
        """Return the error of an item whose id exists with other content."""
        return ItemConflict(details=f"{draft.name} is there already; PUT replaces it.")

    def prepare(self, db: Database, drafts: Sequence[ItemDraft], now_ticks: int, oldest_ms: int | None) -> None:
        """Make partitions, and render the texts: other writers wait for the transaction, not for this."""
        db.ensure_partitions([draft.key.ticks for draft in drafts], now_ticks, oldest_ms)
        room = Room()
        for draft in drafts:
            draft.render(room)
        for tenant, some in groupby(drafts, key=lambda draft: draft.owner.tenant):
            delivery_index.prepare(db, tenant, [delivery for draft in some for delivery in draft.deliveries()])

    def find(self, db: Database, drafts: Sequence[ItemDraft]) -> list[str | None]:
        """Return for each draft the document that is stored under its identity."""
        series = find_series(db, {draft.owner for draft in drafts})
        keys = [(series.get(draft.owner), *draft.key) for draft in drafts]
        found = find_documents(db, {key for key in keys if key[0] is not None})
        return [found.get(key) for key in keys]

    def all(self, db: Database) -> Iterator[tuple[CheckPath, StoredDocument]]:
        """Yield every check and item, expired or not, series by series and oldest first; memory stays flat."""
        next_items = _NEXT.format(document=db.text_of("document"))
        for series_id, *ids in rows(db, _ALL_SERIES):
            check = CheckPath(*ids)
            after = ItemKey(*_BEFORE_ALL)
            while found := rows(db, next_items, series_id=series_id, **after._asdict()):
                for _, _, document in found:
                    yield check, StoredDocument(StoredForm.JSON, encoded(document))
                after = ItemKey(*found[-1][:2])

    def count(self, db: Database) -> int:
        """Return how many items there are, expired or not."""
        return int(rows(db, "SELECT count(*) FROM history_item")[0][0])

    def store_alone(self, db: Database, draft: ItemDraft, condition: str = "", **values_of_condition: object) -> bool:
        """See Recorder, and `alone.store_alone` for `condition`, which must hold too."""
        values = (*draft.key, *draft.texts())
        return store_alone(db, TABLE, draft.owner, values, draft.deliveries(), condition, **values_of_condition)

    def store(self, db: Database, drafts: Sequence[ItemDraft]) -> list[Stored]:
        """Insert the new ones; return the stored document of each."""
        delivery_index.lock_tenants(db, [(draft.owner.tenant, draft.deliveries()) for draft in drafts])
        series = ensure_series(db, {draft.owner for draft in drafts})
        keys = [(series[draft.owner], *draft.key) for draft in drafts]
        known: dict[RowKey, str] = {}
        for start in range(0, len(drafts), _BATCH):
            batch = zip(keys[start : start + _BATCH], drafts[start : start + _BATCH], strict=True)
            known |= _insert_or_find(db, {key: (*key, *draft.texts()) for key, draft in batch})
        new = [(key, draft) for key, draft in zip(keys, drafts, strict=True) if key not in known]
        delivery_index.insert(db, [Derived(key[0], draft.key, draft.deliveries()) for key, draft in new])
        return [
            Stored(known.get(key, draft.document), key not in known) for key, draft in zip(keys, drafts, strict=True)
        ]


ITEM_RECORDER = ItemRecorder()


def _insert_or_find(db: Database, items: dict[RowKey, tuple[Any, ...]]) -> dict[RowKey, str]:
    """Insert those rows that are not there; return the documents of those that are, by key."""
    known: dict[RowKey, str] = {}
    missing = items
    while missing:
        absent = missing.keys() - db.insert_missing(TABLE, list(missing.values()))
        known |= find_documents(db, absent)
        # A row that was neither inserted nor found has been deleted in between.
        missing = {key: row for key, row in items.items() if key in absent and key not in known}
    return known


def find_documents(db: Database, keys: Collection[RowKey]) -> dict[RowKey, str]:
    """Return the documents of those rows that are there, by key."""
    found = db.for_each(_FIND.replace("{document}", db.text_of("document")), KEY, list(keys))
    return {key: document for *key_values, document in found for key in [tuple(key_values)]}
