"""The error documents of both APIs (docs/contract.md, "Faults" and "Errors")."""

from marshmallow import fields

from notifhist.schemas.document import DocumentSchema


class FaultSchema(DocumentSchema):
    """An error of the alarm notification history."""

    root = "fault"

    type = fields.String(required=True)
    code = fields.String(required=True)
    message = fields.String(required=True)
    details = fields.String(required=True)
    request_id = fields.String(required=True)


class RunErrorSchema(DocumentSchema):
    """An error of the notification runs."""

    root = "error"

    details = fields.String(required=True)
    gateway_http_status = fields.Integer(required=True, data_key="gatewayHttpStatus")
    http_status = fields.Integer(required=True, data_key="httpStatus")
    message = fields.String(required=True)
    request_id = fields.String(required=True, data_key="requestId")
    type = fields.String(required=True)


class ProblemSchema(DocumentSchema):
    """A 429 of the notification runs, `application/problem+json` (RFC 9457)."""

    detail = fields.String()
    instance = fields.String()
    retry_after = fields.Integer(required=True, data_key="retryAfter")
    status = fields.Integer(required=True)
    title = fields.String(required=True)
    type = fields.String(required=True)


FAULT = FaultSchema()
RUN_ERROR = RunErrorSchema()
PROBLEM = ProblemSchema()
