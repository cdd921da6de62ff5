"""The error documents of both APIs (docs/contract.md, "Faults" and "Errors").

They are dumped from an `ErrorReport`: `attribute` says which part of it a member holds.
"""

from http import HTTPStatus
from typing import Any, NamedTuple

from marshmallow import fields

from notifhist.schemas.document import DocumentSchema


class ErrorReport(NamedTuple):
    """An ApiError, the path of the request that failed, and the request's id."""

    error: Any
    path: str
    request_id: str

    @property
    def title(self) -> str:
        """The error's status in words (RFC 9110, 15)."""
        return HTTPStatus(self.error.status).phrase


class FaultSchema(DocumentSchema):
    """An error of the history API."""

    root = "fault"
    description = "An error of the alarm notification history."

    type = fields.String(required=True, attribute="error.fault_type")
    code = fields.String(required=True, attribute="error.status")
    message = fields.String(required=True, attribute="error.message")
    details = fields.String(required=True, attribute="error.details")
    request_id = fields.String(required=True)


class RunErrorSchema(DocumentSchema):
    """An error of the runs API."""

    root = "error"
    description = "An error of the notification runs and logs."

    details = fields.String(required=True, attribute="error.details")
    gateway_http_status = fields.Integer(required=True, data_key="gatewayHttpStatus", dump_default=0)
    http_status = fields.Integer(required=True, data_key="httpStatus", attribute="error.status")
    message = fields.String(required=True, attribute="error.message")
    request_id = fields.String(required=True, data_key="requestId")
    type = fields.String(required=True, attribute="error.run_error_type")


class ProblemSchema(DocumentSchema):
    """A 429 of the runs API, `application/problem+json` (RFC 9457)."""

    description = "The rate limit of the notification runs and logs is reached (RFC 9457)."

    detail = fields.String(attribute="error.message")
    instance = fields.String(attribute="path")
    retry_after = fields.Integer(required=True, data_key="retryAfter", attribute="error.headers.Retry-After")
    status = fields.Integer(required=True, attribute="error.status")
    title = fields.String(required=True)
    type = fields.String(required=True, dump_default="about:blank")


FAULT = FaultSchema()
RUN_ERROR = RunErrorSchema()
PROBLEM = ProblemSchema()
