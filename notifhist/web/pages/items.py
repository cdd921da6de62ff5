"""One item: what was said at each attempt, and what was recorded before and after it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from flask import Response

from notifhist.auth import KEY_CHARACTERS, OBSERVER, beginning
from notifhist.errors import AnswerTooLong, NotFound
from notifhist.schemas.deliveries import OUTCOMES
from notifhist.schemas.delivery_queries import DeliveriesQuery
from notifhist.schemas.fields import MAX_TIMESTAMP
from notifhist.schemas.history import ITEM
from notifhist.schemas.query import CheckPath, HistoryQuery
from notifhist.serializers.formats import JSON_AND_XML, XML
from notifhist.serializers.stored import StoredForm, documents_of
from notifhist.store.deliveries.derive import outcome_of, outcomes_of, target_of
from notifhist.store.deliveries.reading import list_deliveries
from notifhist.store.history import reading
from notifhist.web.apis import PAGES
from notifhist.web.context import caller, current_service, readable_db
from notifhist.web.declarations import View
from notifhist.web.pages.charts import FROM_THE_GROUND
from notifhist.web.pages.links import absolute, base_path, path_of
from notifhist.web.pages.recorded import Recorded, recorded
from notifhist.web.pages.rendering import PAGE, page

_ITEM = "/entities/<entity_id>/alarms/<alarm_id>/<check_id>/<uuid>"
MOST_RESULTS, MOST_ATTEMPTS = 200, 200
"""So many results of an item are shown, and so many attempts of a result; the API has all."""
MOST_CHARACTERS = 20_000
"""So much of a document is shown."""
MOST_OTHERS = 20
"""So many other deliveries of a transaction are shown."""
READ_TOGETHER = 250
"""So many deliveries of a transaction are looked at together."""
_NAMED = frozenset(ITEM.fields)
Json = Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """A result of an item, as a page shows it."""

    position: int
    outcome: str
    target: str | None
    recorded: Recorded
    attempts: list[Recorded]

    @property
    def last(self) -> str | None:
        """What was said at the last attempt, else of the result as a whole."""
        said = (each["message"] for each in (*reversed(self.attempts), self.recorded))
        return next(filter(None, said), None)


@View(PAGES, "GET", _ITEM, "Look at an item", OBSERVER, offers=PAGE, errors=(NotFound,))
def show_item(uuid: str, **ids: str) -> Response:
    """Show an item."""
    service, check, db = current_service(), CheckPath(caller().tenant, **ids), readable_db()
    oldest_ms = service.oldest_ms()
    stored = reading.get_item(db, check, uuid, oldest_ms)
    item = Recorded(orjson.loads(stored.text))
    results = [
        Result(
            n, outcome_of(item, each), target_of(each["notification_details"]), each, list(recorded(each["attempts"]))
        )
        for n, each in enumerate(recorded(item["notification_results"]))
    ]
    outcomes = [each.outcome for each in results] or [outcome_of(item, {})]
    worst = min(outcomes, key=FROM_THE_GROUND.index)
    url = absolute(base_path() + _path(check, uuid))
    return page(
        "item.html",
        check=check,
        item=item,
        results=sorted(results, key=lambda each: FROM_THE_GROUND.index(each.outcome))[:MOST_RESULTS],
        hidden_results=max(len(results) - MOST_RESULTS, 0),
        most_attempts=MOST_ATTEMPTS,
        worst=worst,
        counts={each: outcomes.count(each) for each in OUTCOMES if each in outcomes},
        said=next((each for each in results if each.outcome == worst), None),
        before=_neighbour(check, item["id"], reverse=True),
        after=_neighbour(check, item["id"], reverse=False),
        others=_others(check, item),
        unnamed={name: value for name, value in item.items() if name not in _NAMED},
        json=_indented(stored.text),
        xml=_as_xml(check, uuid),
        curl={each.name: _curl(url, each.media_types[0]) for each in JSON_AND_XML},
    )


def _path(check: CheckPath, uuid: str) -> str:
    """Return the path of an item in the API."""
    alarm = ("entities", check.entity_id, "alarms", check.alarm_id)
    return path_of("v1.0", check.tenant, *alarm, "notification_history", check.check_id, uuid)


def _neighbour(check: CheckPath, uuid: str, *, reverse: bool) -> Json | None:
    """Return id, time and worst outcome of the item after another one of its check, or of the one before it.

    They are next to each other by their ids, as in the API: several items may have the same time.
    """
    query = HistoryQuery(check, from_ms=0, to_ms=MAX_TIMESTAMP, limit=2, marker=uuid, reverse=reverse)
    found = reading.list_items(readable_db(), query, current_service().oldest_ms(), StoredForm.JSON)
    item = next((each for each in documents_of(found.documents) if each["id"] != uuid), None)
    if item is None:
        return None
    worst = min((outcome for outcome, _ in outcomes_of(item)), key=FROM_THE_GROUND.index)
    return {"item_id": item["id"], "timestamp": item["timestamp"], "outcome": worst}


def _others(check: CheckPath, item: Json) -> Sequence[Json]:
    """Return other deliveries of the item's transaction, newest first."""
    transaction = item.get("transaction_id")
    if not transaction:
        return []
    query = DeliveriesQuery(check.tenant, 0, MAX_TIMESTAMP, reverse=True, transaction_ids=(transaction,))
    own = {**vars(check), "item_id": item["id"]}
    del own["tenant"]
    others: list[Json] = []
    more = True
    while more and len(others) < MOST_OTHERS:  # an item has 2,000 deliveries at most
        found = list_deliveries(readable_db(), query, current_service().oldest_ms(), READ_TOGETHER)
        others += [each for each in documents_of(found.deliveries) if any(each[name] != own[name] for name in own)]
        query, more = replace(query, marker=found.next_marker), found.next_marker is not None
    return others[:MOST_OTHERS]


def _indented(text: bytes) -> str:
    """Return the beginning of a document, indented; of a long one as it is stored, since to indent it costs much."""
    if len(text) > 4 * MOST_CHARACTERS:
        return _beginning(text)
    return beginning(json.dumps(orjson.loads(text), indent=2, ensure_ascii=False), MOST_CHARACTERS)


def _beginning(text: bytes) -> str:
    """Return the first MOST_CHARACTERS of a text, each of which has up to four bytes."""
    some = text[: 4 * (MOST_CHARACTERS + KEY_CHARACTERS)]
    return beginning(some.decode("utf-8", "ignore"), MOST_CHARACTERS)


def _as_xml(check: CheckPath, uuid: str) -> str:
    try:
        stored = reading.get_item(readable_db(), check, uuid, current_service().oldest_ms(), StoredForm.XML)
        return _beginning(b"".join(XML.render(stored, ITEM)))
    except AnswerTooLong:
        return ""


def _curl(url: str, accept: str) -> str:
    return f"curl -H \"X-Auth-Token: $KEY\" -H 'Accept: {accept}' '{url}'"
