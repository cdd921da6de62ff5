"""The records of a counted table: recording, replacing and reading them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from typing import Any

import orjson

from notifhist.errors import ApiError, NotFound
from notifhist.schemas.fields import INT64, TICKS_PER_MS
from notifhist.schemas.query import Tenant
from notifhist.schemas.resources import Resource
from notifhist.serializers.stored import StoredDocument, StoredForm, encoded
from notifhist.store.counted import counts
from notifhist.store.counted.table import CountedRow, CountedTable
from notifhist.store.database import Database
from notifhist.store.database.sql import first, rows
from notifhist.store.equality import equal_json
from notifhist.store.models import TenantRow
from notifhist.store.recording import Precondition, Stored, recorder_of
from notifhist.store.tenants import TENANT_ID, ensure_tenant, find_tenant

_READ_BATCH = 500
_KEY = {"tenant_id": "bigint", "id": "bigint"}
_IS_IT = f"tenant_id = {TENANT_ID} AND id = :id"

Loaded = dict[str, Any]
"""A record as its schema loads it: by the schema's names, times in ms since the epoch, UTC."""


class CountedDraft:
    """A record that is about to be stored. Without an id it gets the tenant's next number when it is stored."""

    def __init__(self, recorder: "CountedRecorder", owner: Tenant, record: Loaded, now_ms: int, ordinal: int) -> None:
        self.recorder, self.owner, self._ordinal = recorder, owner, ordinal
        self._record = recorder.filled(record, now_ms)
        self._filled = [name for name, value in self._record.items() if name not in record and value is not None]
        self.id: int | None = record.get("id")

    @property
    def identity(self) -> tuple[str, bool, int]:
        """See Draft. A draft without an id equals no other."""
        return self.owner.tenant, self.id is None, self._ordinal if self.id is None else self.id

    @property
    def name(self) -> str:
        """See Draft."""
        return str(self.id)

    @property
    def document(self) -> str:
        """See Draft."""
        return self.row.document

    @cached_property
    def row(self) -> CountedRow:
        """The row of the record, once it has an id."""
        return self.recorder.row_of({**self._record, "id": self.id})

    @property
    def parts(self) -> int:
        """See Draft."""
        return 1

    def has_expired(self, oldest_ms: int | None) -> bool:
        """See Draft. Counted records do not expire."""
        return False

    def equals(self, stored: str) -> bool:
        """See Draft. Missing members make no difference: they were filled in when the record was first stored."""
        if stored == self.document:
            return True
        there, own = orjson.loads(stored), orjson.loads(self.document)
        members = [self.recorder.members[name] for name in self._filled]
        return equal_json(there, own | {name: there[name] for name in members})

    def render(self) -> None:
        """Make the row now, if the record has an id, and not when it is stored; then drop the record."""
        if self.id is not None:
            _ = self.row
            self._record = {}


class CountedRecorder:
    """Records a resource into a counted table; see `store.recording.Recorder`."""

    def __init__(
        self,
        resource: Resource,
        table: CountedTable,
        row_of: Callable[[Loaded], CountedRow],
        conflict: type[ApiError],
        defaults: Mapping[str, Any],
    ) -> None:
        """`defaults`: the values of missing members, beside `date_created` and `date_updated`."""
        self.resource, self.table, self.row_of = resource, table, row_of
        self._conflict, self._defaults = conflict, defaults
        self.members = {name: field.data_key or name for name, field in resource.document.fields.items()}
        """The members' JSON names by the schema's names."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a reference: there is one recorder of a resource in each process."""
        return recorder_of, (self.resource.name,)

    def filled(self, record: Loaded, now_ms: int) -> Loaded:
        """Return the record with all members of the schema; a missing one has its default, or None."""
        date_created = record.get("date_created", now_ms)
        dates = {"date_created": date_created, "date_updated": date_created}
        return {**dict.fromkeys(self.resource.document.fields), **self._defaults, **dates, **record}

    def draft(self, owner: Any, document: Loaded, now_ticks: int, ordinal: int = 0) -> CountedDraft:
        """Return a draft of the record, with missing members filled in."""
        return CountedDraft(self, owner, document, now_ticks // TICKS_PER_MS, ordinal)

    def conflict(self, draft: Any) -> ApiError:
        """Return the error of a record whose id exists with other content."""
        return self._conflict(details=f"{draft.name} is there already; PUT replaces it.")

    def prepare(self, db: Database, drafts: Sequence[CountedDraft], now_ticks: int, oldest_ms: int | None) -> None:
        """Make the rows of those that have an id."""
        for draft in drafts:
            draft.render()

    def find(self, db: Database, drafts: Sequence[CountedDraft]) -> list[str | None]:
        """Return for each draft the document that is stored under its id."""
        found: dict[tuple[str, int | None], str] = {}
        for tenant in {draft.owner.tenant for draft in drafts}:
            ids = [draft.id for draft in drafts if draft.owner.tenant == tenant and draft.id is not None]
            of_tenant = _find(db, self.table, find_tenant(db, tenant) or 0, ids)
            found |= {(tenant, record_id): document for record_id, document in of_tenant.items()}
        return [found.get((draft.owner.tenant, draft.id)) for draft in drafts]

    def store_alone(self, db: Database, draft: CountedDraft) -> bool:
        """Store nothing: with each record, counts change too."""
        return False

    def store(self, db: Database, drafts: Sequence[CountedDraft]) -> list[Stored]:
        """Insert the new ones, tenant by tenant; return the stored document of each."""
        stored = []
        for tenant, some in groupby(drafts, key=lambda draft: draft.owner.tenant):
            db.lock_name(tenant)  # so that no number is given twice, and no count is added up twice
            stored += self._store(db, ensure_tenant(db, tenant), list(some))
        return stored

    def _store(self, db: Database, tenant_id: int, drafts: Sequence[CountedDraft]) -> list[Stored]:
        with_id = [draft for draft in drafts if draft.id is not None]
        known = _find(db, self.table, tenant_id, [draft.row.id for draft in with_id])
        _insert(db, self.table, tenant_id, [draft.row for draft in with_id if draft.row.id not in known])
        # Numbers follow on what is stored, so what has an id is stored first.
        new = [draft for draft in drafts if draft.id is None]
        for number, draft in enumerate(new, start=self._last_number(db, tenant_id, len(new)) + 1):
            draft.id = number
        _insert(db, self.table, tenant_id, [draft.row for draft in new])
        return [Stored(known.get(draft.row.id, draft.document), draft.row.id not in known) for draft in drafts]

    def _last_number(self, db: Database, tenant_id: int, count: int) -> int:
        """Return the number behind which `count` numbers are free: the greatest id, or 0 if all ids are below.

        Where the greatest id is too near the end of the column, it is the greatest id that has a gap behind it.
        """
        if not count:
            return 0
        ids = f"FROM {self.table.name} AS record WHERE tenant_id = :tenant_id AND id > 0"
        last = first(db, f"SELECT id {ids} ORDER BY id DESC LIMIT 1", tenant_id=tenant_id)
        if last is not None and last[0] > INT64[1] - count:
            following = f"SELECT id FROM {self.table.name} WHERE tenant_id = :tenant_id AND id > record.id"
            has_gap = f"({following} ORDER BY id LIMIT 1) - id > :count"
            last = first(
                db, f"SELECT id {ids} AND {has_gap} ORDER BY id DESC LIMIT 1", tenant_id=tenant_id, count=count
            )
        return last[0] if last else 0

    def replace(
        self, db: Database, tenant: str, record: Loaded, now_ms: int, precondition: Precondition | None = None
    ) -> tuple[StoredDocument, bool]:
        """Create the record of this id or replace it; return the document, and whether it was created.

        Raises what `precondition` raises.
        """
        row = self.row_of(self.filled(record, now_ms))
        with db.writing():
            db.lock_name(tenant)
            tenant_id = ensure_tenant(db, tenant)
            if precondition is not None:
                current = _find(db, self.table, tenant_id, [row.id]).get(row.id)
                precondition(None if current is None else StoredDocument(StoredForm.JSON, encoded(current)))
            counted = f"SELECT date_created, {', '.join(self.table.codes)} FROM {self.table.name}"
            known = first(db, f"{counted} WHERE tenant_id = :tenant_id AND id = :id", tenant_id=tenant_id, id=row.id)
            if known is None:
                _insert(db, self.table, tenant_id, [row])
            else:
                date_created, *codes = known
                db.update_searchable(self.table.name, self.table.columns_of(tenant_id, row))
                changes = Counter[counts.Change]({(date_created, tuple(codes)): -1})
                changes[row.date_created, row.codes] += 1
                counts.change(db, self.table, tenant_id, changes)
        return StoredDocument(StoredForm.JSON, encoded(row.document)), known is None

    def get(self, db: Database, tenant: str, record_id: int) -> StoredDocument:
        """Return the whole record. Raises NotFound."""
        if found := first(db, f"SELECT document FROM {self.table.name} WHERE {_IS_IT}", tenant=tenant, id=record_id):
            return StoredDocument(StoredForm.JSON, encoded(found[0]))
        name = self.resource.name
        raise NotFound(f"No such {name}.", f"{record_id} is none of the tenant's {name}s.")

    def all(self, db: Database) -> Iterator[tuple[Tenant, StoredDocument]]:
        """Yield every tenant and record, tenant by tenant and by id; memory stays flat."""
        tenants = db.execute(TenantRow.select(TenantRow.id, TenantRow.name).order_by(TenantRow.name))
        batch = (
            f"SELECT id, document FROM {self.table.name} WHERE tenant_id = :tenant_id AND id >= :from_id ORDER BY id"
        )
        for tenant_id, tenant in tenants.fetchall():
            from_id: int | None = INT64[0]
            while from_id is not None:
                found = rows(db, f"{batch} LIMIT {_READ_BATCH + 1}", tenant_id=tenant_id, from_id=from_id)
                for _, document in found[:_READ_BATCH]:
                    yield Tenant(tenant), StoredDocument(StoredForm.JSON, encoded(document))
                from_id = found[_READ_BATCH][0] if len(found) > _READ_BATCH else None

    def count(self, db: Database) -> int:
        """Return how many records there are."""
        return int(rows(db, f"SELECT count(*) FROM {self.table.name}")[0][0])


def _find(db: Database, table: CountedTable, tenant_id: int, ids: Sequence[int]) -> dict[int, str]:
    """Return the documents of a tenant's records that are there, by id."""
    if not ids:
        return {}
    param = db.param_value(_KEY, [(tenant_id, record_id) for record_id in ids])
    is_it = "record.tenant_id = param.tenant_id AND record.id = param.id"
    select = f"SELECT record.id, record.document FROM {db.param_table(_KEY)} JOIN {table.name} AS record ON {is_it}"
    return dict(rows(db, select, param=param))


def _insert(db: Database, table: CountedTable, tenant_id: int, new: Sequence[CountedRow]) -> None:
    """Insert records that are not there; the tenant's name is locked."""
    if not new:
        return
    columns = [table.columns_of(tenant_id, row) for row in new]
    db.insert_searchable(table.name, list(columns[0]), [tuple(each.values()) for each in columns])
    counts.change(db, table, tenant_id, Counter((row.date_created, row.codes) for row in new))
