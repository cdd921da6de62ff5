"""Notification runs: the documents of the runs API (docs/contract.md, "Notification runs")."""

from typing import Any

from marshmallow import EXCLUDE, RAISE, fields, post_dump, validate

from notifhist.schemas.document import Document, DocumentSchema
from notifhist.schemas.fields import INT32, Instant, JsonInteger, Text, in_xml
from notifhist.schemas.validation import Documents, documents

NOTIFICATION_TYPES = (
    "INITIATIVE_CREATION", "INITIATIVE_CUSTOM_SCHEDULE", "INITIATIVE_N_DAYS_LEFT", "SERVICE_REEVALUATED",
    "WEEKLY_REPORT", "BROKEN_OPEN_API_SPEC", "ENTITLEMENT_EXPIRATION", "ONCALL_ASSISTANT",
    "ONBOARDING_MESSAGE", "NOTIFY_INVALID_INTEGRATION", "ONCALL_PERSON_CHANGED", "ONCALL_STARTS_IN_N_DAYS",
    "TEAM_MEMBER_INVITATION", "PENDING_RULE_EXEMPTION", "TOKEN_EXPIRES_IN_N_DAYS",
    "SCHEDULED_SCORECARD_RULE_CREATION", "SCORECARD_RULE_ACTIVATES_IN_N_DAYS", "WORKFLOW_STATUS_UPDATE",
    "WORKFLOW_APPROVAL_PENDING", "VERIFICATION_PERIOD_STARTED", "VERIFICATION_PERIOD_REMINDER",
    "AI_ASSISTANT_WELCOME_MESSAGE", "ENTITY_SCORE_DROPPED", "ONBOARDING_WIZARD_STATE_COMPLETED",
)  # fmt: skip
STATUSES = ("CREATED", "FAILED", "IGNORED", "COMPLETED", "COMPLETED_WITH_ERRORS")
MEDIUMS = ("SLACK", "MICROSOFT_TEAMS", "EMAIL", "WEBHOOK")
IGNORED_REASONS = ("SCORECARD_DISABLED", "WORKSPACE_DISABLED", "NO_RECIPIENTS")
FAILED_REASONS = (
    "PACKET_GENERATOR_ERROR", "CONTEXT_RESOLUTION_ERROR", "MISSING_RECIPIENTS", "INTERNAL_ERROR",
)  # fmt: skip
OBJECT_TYPES = ("ENTITY", "SCORECARD", "INITIATIVE")


class ClosedDocumentSchema(DocumentSchema):
    """A document without unnamed members, whose absent members are never answered as null."""

    class Meta:
        unknown = RAISE

    @post_dump
    def _drop_absent(self, data: Document, **kwargs: Any) -> Document:
        return {name: value for name, value in data.items() if value is not None and value != []}


class NotificationObjectSchema(ClosedDocumentSchema):
    """One object, a member of a run."""

    root = "notificationObjects"
    description = "An object that a notification was about."

    cid = Text(without_nul=True)
    id = JsonInteger(required=True)
    name = Text(without_nul=True, required=True)
    tag = Text(without_nul=True)
    type = Text(required=True, validate=validate.OneOf(OBJECT_TYPES))
    url = Text(without_nul=True)


class NotificationRunSchema(ClosedDocumentSchema):
    """One run. As loaded it has the names of the columns, and `date_created` and `date_updated` are ms, UTC."""

    root = "notification_run"
    description = "One run of a notification."

    date_created = Instant(data_key="dateCreated")
    date_updated = Instant(data_key="dateUpdated")
    delivered_count = JsonInteger(data_key="deliveredCount")
    error_message = Text(data_key="errorMessage", without_nul=True)
    failed_reason = Text(data_key="failedReason", validate=validate.OneOf(FAILED_REASONS))
    id = JsonInteger(metadata=in_xml(attribute=True))
    ignored_reason = Text(data_key="ignoredReason", validate=validate.OneOf(IGNORED_REASONS))
    medium = Text(required=True, validate=validate.OneOf(MEDIUMS))
    notification_objects = Documents(fields.Nested(NotificationObjectSchema), data_key="notificationObjects")
    notification_type = Text(data_key="notificationType", required=True, validate=validate.OneOf(NOTIFICATION_TYPES))
    original_run_id = JsonInteger(data_key="originalRunId")
    seq_no = JsonInteger(data_key="seqNo", bounds=INT32)
    status = Text(required=True, validate=validate.OneOf(STATUSES))
    summary = Text(without_nul=True)


class RunsPageSchema(DocumentSchema):
    """A page of runs; in XML it has the same envelope as a page of items."""

    root = "container"
    description = "A page of runs."

    page = fields.Integer(required=True, metadata=in_xml(inside="metadata"))
    runs = documents(NotificationRunSchema, in_xml_as="values")
    total = fields.Integer(required=True, metadata=in_xml(inside="metadata"))
    total_pages = fields.Integer(required=True, data_key="totalPages", metadata=in_xml(inside="metadata"))


class RunsContainerSchema(DocumentSchema):
    """Runs to be recorded together, and the answer to them."""

    root = "container"
    description = "Runs to record together, or that were recorded together."

    class Meta:
        unknown = EXCLUDE

    runs = documents(NotificationRunSchema, in_xml_as="values")


RUN = NotificationRunSchema()
RUNS_PAGE = RunsPageSchema()
RUNS_CONTAINER = RunsContainerSchema()
