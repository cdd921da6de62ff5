"""Values about the whole database, by name."""

from notifhist.store.database import Database
from notifhist.store.models import MetaRow


def get_meta(db: Database, name: str) -> str | None:
    """Return the value of a name; None if it has none."""
    found = db.execute(MetaRow.select(MetaRow.value).where(MetaRow.name == name)).fetchone()
    return None if found is None else str(found[0])


def set_meta(db: Database, name: str, value: str) -> None:
    """Store the value of a name that has none."""
    with db.writing():
        db.execute(MetaRow.insert(name=name, value=value))
