"""Values about the whole database, by name."""

from notifhist.store.database import Database
from notifhist.store.database.sql import changed
from notifhist.store.models import MetaRow

_SET = """INSERT INTO meta (name, value) VALUES (:name, :value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value"""


def get_meta(db: Database, name: str) -> str | None:
    """Return the value of a name; None if it has none."""
    found = db.execute(MetaRow.select(MetaRow.value).where(MetaRow.name == name)).fetchone()
    return None if found is None else str(found[0])


def set_meta(db: Database, name: str, value: str) -> None:
    """Store the value of a name, in the place of the one it has."""
    with db.writing():
        changed(db, _SET, name=name, value=value)
