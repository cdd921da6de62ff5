"""The checks of what somebody has to do now and then: keys, and purges."""

from collections.abc import Iterator

from notifhist.config import MS_PER_DAY, PREFIX
from notifhist.operations.findings import Finding, warning
from notifhist.operations.installation import Installation
from notifhist.schemas.instants import format_instant
from notifhist.store.keys import find_key, list_keys
from notifhist.store.purge import has_older_items, last_purge_ms

EXPIRY_DAYS = 14
PURGE_DAYS = 3
"""A purge a day is enough; so many days without one are no holiday of a timer."""


def check_keys(installation: Installation) -> Iterator[Finding]:
    """Find that no key is valid, and keys that expire soon."""
    now_ms = installation.clock.now_ms()
    valid = [key for key in list_keys(installation.tables) if key.is_valid(now_ms)]
    if not valid:
        yield warning(
            "There is no valid key, so nobody can ask or record anything.",
            "Create one: notifhist keys create --tenant TENANT --role monitoring:creator.",
        )
    for key in valid:
        if key.expires is not None and key.expires - now_ms < EXPIRY_DAYS * MS_PER_DAY:
            yield warning(
                f"The key {key.name} ({key.id}) of tenant {key.tenant} expires {_within(key.expires - now_ms)}, at "
                f"{format_instant(key.expires)}.",
                "Create another one, give it to whoever uses this one, then `notifhist keys revoke` this one.",
            )


def _within(ms: int) -> str:
    days = ms // MS_PER_DAY
    return "within a day" if not days else "in 1 day" if days == 1 else f"in {days} days"


def check_user_key(installation: Installation) -> Iterator[Finding]:
    """Find that the key is not valid whose rights those have whom a proxy signs in to the pages."""
    key_id = installation.settings.pages_user_key_id
    key = find_key(installation.tables, key_id) if key_id else None
    if key_id and (key is None or not key.is_valid(installation.clock.now_ms())):
        yield warning(
            f"{PREFIX}PAGES_USER_KEY_ID names {key_id}, which is no valid key, so the proxy signs nobody in.",
            "`notifhist keys list` shows the ids of keys.",
        )


def check_purge(installation: Installation) -> Iterator[Finding]:
    """Find items that have long expired, and that no purge has deleted."""
    retention_ms = installation.settings.retention_ms
    if retention_ms is None:
        return
    db, now_ms = installation.tables, installation.clock.now_ms()
    last_ms, grace_ms = last_purge_ms(db), PURGE_DAYS * MS_PER_DAY
    if last_ms is not None and now_ms - last_ms < grace_ms:
        return
    if has_older_items(db, now_ms - retention_ms - grace_ms):
        last = "there has been none yet" if last_ms is None else f"the last one was at {format_instant(last_ms)}"
        yield warning(
            f"Items have expired more than {PURGE_DAYS} days ago, and no purge has deleted them: {last}.",
            "Run `notifhist purge` once a day, from cron or a timer of systemd.",
        )
