"""One call records many records of many owners in one transaction: requests, files and feeds share it.

A record is a resource (`schemas.resources`), an owner and a document. Each resource has a recorder, which makes drafts
of documents and stores them. Contract: docs/contract.md, "Recording".
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from notifhist.errors import ApiError
from notifhist.schemas.document import Document
from notifhist.schemas.query import Tenant
from notifhist.schemas.resources import Resource
from notifhist.serializers.stored import StoredDocument
from notifhist.store.database import Database
from notifhist.store.equality import equal_texts

Precondition = Callable[[StoredDocument | None], None]
"""Called with the document that a change would replace or delete (None: there is none); raises what forbids the change.

It is called under the lock of the transaction that changes, so nobody changes the document in between.
"""


class Stored(NamedTuple):
    """The document (JSON text) that is stored under a draft's identity now, and whether the draft created it."""

    document: str
    created: bool


class Draft(Protocol):
    """A record that is about to be stored; it can be pickled, and so come from another process."""

    @property
    def recorder(self) -> "Recorder":
        """The recorder of its resource."""

    @property
    def owner(self) -> Tenant:
        """Its owner: a tenant, or something of a tenant."""

    @property
    def identity(self) -> Hashable:
        """Its owner and its id, which tell it from other records of its resource."""

    @property
    def name(self) -> str:
        """Its id as text."""

    @property
    def document(self) -> str:
        """Its JSON text."""

    @property
    def parts(self) -> int:
        """How many parts of it the store has to look at, such as the results of an item."""

    def has_expired(self, oldest_ms: int | None) -> bool:
        """Say whether it is of before `oldest_ms`, and therefore never shown."""

    def equals(self, stored: str) -> bool:
        """Say whether a stored document of its identity has the same content."""

    def render(self) -> None:
        """Render its texts now. Raises BadRequest if one would be too long."""


class Recorder(Protocol):
    """How the store records one resource."""

    @property
    def resource(self) -> Resource:
        """The resource."""

    def draft(self, owner: Any, document: Document, now_ticks: int, ordinal: int = 0) -> Any:
        """Return a draft of a document as its schema loads it, with missing members filled in.

        `now_ticks`: the time, 100 ns since the epoch; `ordinal`: the place among documents recorded together.
        """

    def conflict(self, draft: Any) -> ApiError:
        """Return the error of a draft whose identity is stored with other content."""

    def prepare(self, db: Database, drafts: Sequence[Any], now_ticks: int, oldest_ms: int | None) -> None:
        """Do the work that can precede the transaction, so that locks are short."""

    def find(self, db: Database, drafts: Sequence[Any]) -> list[str | None]:
        """Return for each draft the document that is stored under its identity."""

    def all(self, db: Database) -> Iterator[tuple[Any, StoredDocument]]:
        """Yield every owner and stored record; memory stays flat."""

    def count(self, db: Database) -> int:
        """Return how many records are stored."""

    def store_alone(self, db: Database, draft: Any) -> bool:
        """Store a draft durably by a transaction of its own, which may be one statement, and return True; else change
        nothing.

        Only a new draft that needs no other change is stored, and only where that costs less than `store`, which is
        called next if not. Call it after `prepare`.
        """

    def store(self, db: Database, drafts: Sequence[Any]) -> list[Stored]:
        """Within a transaction that writes, insert the drafts that are new; return the stored document of each.

        A tenant's name is locked before any row is inserted.
        """


RECORDERS: dict[str, Recorder] = {}
"""The recorder of each resource, by the resource's name; `store.resources` fills it."""


def recorder_of(name: str) -> Recorder:
    """Return the recorder of the resource of a name."""
    return RECORDERS[name]


@dataclass(frozen=True)
class Recorded:
    """The result of `record`: the stored document (JSON text) of each draft, which are new, and the conflicts."""

    documents: Sequence[str]
    new: Sequence[int]
    """The places of the new ones among the drafts."""
    conflicts: Sequence[Draft]

    @property
    def created(self) -> int:
        """How many are new."""
        return len(self.new)


def record(
    db: Database, drafts: Sequence[Draft], now_ticks: int, oldest_ms: int | None = None, *, skip_conflicts: bool = False
) -> Recorded:
    """Store all drafts durably, or none; a draft that is stored already with the same content changes nothing.

    Items older than `oldest_ms` (ms since the epoch) have expired. A conflict is an identity that has other content in
    the store or in an earlier draft: it raises the recorder's error, or with `skip_conflicts` it is returned.
    """
    identities = [(draft.recorder.resource.name, draft.identity) for draft in drafts]
    by_identity: dict[Hashable, int] = {}
    firsts = [by_identity.setdefault(identity, n) for n, identity in enumerate(identities)]
    groups: dict[Recorder, list[int]] = {}
    # In one order, so that two transactions never deadlock.
    for n in sorted(by_identity.values(), key=identities.__getitem__):
        groups.setdefault(drafts[n].recorder, []).append(n)
    for recorder, group in groups.items():
        recorder.prepare(db, [drafts[n] for n in group], now_ticks, oldest_ms)
    # Most requests record one new item: that need not look for what is known, nor take several round trips.
    if len(drafts) == 1 and drafts[0].recorder.store_alone(db, drafts[0]):
        return Recorded([drafts[0].document], [0], [])
    stored: dict[int, Stored] = {}
    with db.writing():
        if len(groups) > 1 or len({draft.owner.tenant for draft in drafts}) > 1:
            _lock_tenants(db, drafts)
        for recorder, group in groups.items():
            stored |= zip(group, recorder.store(db, [drafts[n] for n in group]), strict=True)
        results = [stored[first] for first in firsts]
        if not all(result.created for result in results):
            db.confirm_stored()
        conflicts = [
            draft
            for draft, result in zip(drafts, results, strict=True)
            # Missing members equal those of a record that was stored before, not those of another in this call.
            if not equal_texts(result.document, draft.document)
            and ((result.created and not skip_conflicts) or not draft.equals(result.document))
        ]
        if conflicts and not skip_conflicts:
            raise conflicts[0].recorder.conflict(conflicts[0])
    new = sorted(n for n, result in stored.items() if result.created)
    return Recorded([result.document for result in results], new, conflicts)


def _lock_tenants(db: Database, drafts: Sequence[Draft]) -> None:
    """Lock the tenants' names in their order, before a recorder locks one of them or inserts a row."""
    for tenant in sorted({draft.owner.tenant for draft in drafts}):
        db.lock_name(tenant)
