"""The resources: each kind of record with its documents, its owners and the path of its files."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import marshmallow
from marshmallow import RAISE

from notifhist.schemas.document import DocumentSchema
from notifhist.schemas.fields import PathId
from notifhist.schemas.history import HISTORY_CONTAINER, ITEM
from notifhist.schemas.logs import LOG, LOGS_CONTAINER
from notifhist.schemas.query import CheckPath, Tenant
from notifhist.schemas.runs import RUN, RUNS_CONTAINER


class LineSchema(DocumentSchema):
    """A line of an export: the ids of the owner, and the record under the resource's name."""

    class Meta:
        unknown = RAISE


@dataclass(frozen=True)
class Resource:
    """A kind of record: its documents and its owners."""

    name: str
    """Its name in the lines of an export and in metrics."""
    document: DocumentSchema
    container: DocumentSchema
    owner: type[Tenant]
    path: str
    """The path of a file in a tree like the URLs, without suffix; names in braces are the owner's ids."""

    @cached_property
    def line(self) -> DocumentSchema:
        """The schema of a line of an export (docs/contract.md, "Export")."""
        ids: dict[str, Any] = {each.name: PathId(required=True) for each in fields(self.owner)}
        record = {self.name: marshmallow.fields.Nested(type(self.document), required=True)}
        line: DocumentSchema = type(f"{self.name.title()}LineSchema", (LineSchema,), ids | record)()
        return line


ITEM_RESOURCE = Resource(
    "item",
    ITEM,
    HISTORY_CONTAINER,
    CheckPath,
    "{tenant}/entities/{entity_id}/alarms/{alarm_id}/notification_history/{check_id}",
)
RUN_RESOURCE = Resource("run", RUN, RUNS_CONTAINER, Tenant, "{tenant}/api/v1/notifications/logs/run")
LOG_RESOURCE = Resource("log", LOG, LOGS_CONTAINER, Tenant, "{tenant}/api/v1/notifications/logs")
