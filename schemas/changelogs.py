"""Changes of alarms' states, and what kept notifications from being sent: derived from items.

Contract: docs/contract.md, "Changelogs" and "Suppression logs".
"""

from notifhist.schemas.document import DocumentSchema
from notifhist.schemas.fields import JsonInteger, Text, TimeUuid, in_xml
from notifhist.schemas.history import page_of
from notifhist.schemas.validation import Documents


class AlarmChangelogSchema(DocumentSchema):
    """One changelog, as it is answered; nobody records one."""

    root = "alarm_changelog"
    description = "A change of an alarm's state."

    id = TimeUuid(required=True, metadata=in_xml(attribute=True))
    timestamp = JsonInteger(required=True)
    entity_id = Text(required=True)
    alarm_id = Text(required=True)
    check_id = Text(required=True)
    status = Text()
    state = Text(required=True)
    previous_state = Text(required=True)
    analyzed_by_monitoring_zone_id = Text()


class SuppressionLogSchema(DocumentSchema):
    """One suppression log, as it is answered: with all members, those that are not known null."""

    root = "suppression_log"
    description = "An alarm notification that was not sent, and the ids of what kept it from being sent."

    id = TimeUuid(required=True, metadata=in_xml(attribute=True))
    entity_id = Text(required=True)
    alarm_id = Text(required=True)
    check_id = Text(required=True)
    notification_plan_id = Text(required=True, allow_none=True)
    suppressions = Documents(Text(), required=True)
    state = Text(required=True)
    timestamp = JsonInteger(required=True)
    transaction_id = Text(required=True, allow_none=True)


ALARM_CHANGELOG = AlarmChangelogSchema()
SUPPRESSION_LOG = SuppressionLogSchema()
CHANGELOGS_PAGE = page_of(AlarmChangelogSchema, "ChangelogsPage", "A page of changelogs.")
SUPPRESSION_LOGS_PAGE = page_of(SuppressionLogSchema, "SuppressionLogsPage", "A page of suppression logs.")
