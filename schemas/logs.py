"""Notification logs: documents of the runs API (docs/contract.md, "Notification logs")."""

from marshmallow import EXCLUDE, fields, validate

from notifhist.schemas.document import DocumentSchema
from notifhist.schemas.fields import Instant, JsonInteger, Text, in_xml
from notifhist.schemas.runs import MEDIUMS, NOTIFICATION_TYPES, ClosedDocumentSchema
from notifhist.schemas.validation import documents

STATUSES = ("READY", "IGNORED", "FAILED", "DELIVERED")
RECIPIENT_TYPES = ("USER", "TEAM", "ENTITY")
IGNORED_REASONS = (
    "USER_UNSUBSCRIBED", "WORKSPACE_DISABLED", "CHANNEL_DISABLED", "DUPLICATE", "CORTEX_EMPLOYEE",
    "NON_CORTEX_USERS_DISABLED", "UNSUPPORTED", "TEAM_MEMBER_DISABLED", "SCORECARD_DISABLED",
)  # fmt: skip
FAILED_REASONS = (
    "CHANNEL_NOT_FOUND", "MEMBER_EMAILS_NOT_FOUND", "MISSING_CONTENT", "CLIENT_ERROR",
    "BACKSTAGE_BASE_URL_MISSING", "NO_SEATS_LEFT", "UNEXPECTED_ERROR",
)  # fmt: skip


class NotificationLogSchema(ClosedDocumentSchema):
    """One log. As loaded it has the names of the columns, and its dates are ms, UTC."""

    root = "notification_log"
    description = "One notification of a run to one recipient."

    date_created = Instant(data_key="dateCreated")
    date_delivered = Instant(data_key="dateDelivered")
    date_updated = Instant(data_key="dateUpdated")
    error_message = Text(data_key="errorMessage", without_nul=True)
    failed_reason = Text(data_key="failedReason", validate=validate.OneOf(FAILED_REASONS))
    id = JsonInteger(metadata=in_xml(attribute=True))
    ignored_reason = Text(data_key="ignoredReason", validate=validate.OneOf(IGNORED_REASONS))
    medium = Text(required=True, validate=validate.OneOf(MEDIUMS))
    recipient_channel = Text(data_key="recipientChannel", without_nul=True)
    recipient_email = Text(data_key="recipientEmail", without_nul=True)
    recipient_entity_id = JsonInteger(data_key="recipientEntityId")
    recipient_type = Text(data_key="recipientType", required=True, validate=validate.OneOf(RECIPIENT_TYPES))
    recipient_user_id = JsonInteger(data_key="recipientUserId")
    run_id = JsonInteger(data_key="runId", required=True)
    status = Text(required=True, validate=validate.OneOf(STATUSES))
    type = Text(required=True, validate=validate.OneOf(NOTIFICATION_TYPES))


class LogsPageSchema(DocumentSchema):
    """A page of logs. Clients depend on it that `logs` is its only list."""

    root = "container"
    description = "A page of logs."

    logs = documents(NotificationLogSchema, in_xml_as="values")
    page = fields.Integer(required=True, metadata=in_xml(inside="metadata"))
    total = fields.Integer(required=True, metadata=in_xml(inside="metadata"))
    total_pages = fields.Integer(required=True, data_key="totalPages", metadata=in_xml(inside="metadata"))


class LogsContainerSchema(DocumentSchema):
    """Logs to be recorded together, and the answer to them."""

    root = "container"
    description = "Logs to record together, or that were recorded together."

    class Meta:
        unknown = EXCLUDE

    logs = documents(NotificationLogSchema, in_xml_as="values")


LOG = NotificationLogSchema()
LOGS_PAGE = LogsPageSchema()
LOGS_CONTAINER = LogsContainerSchema()
