"""What can go wrong with a request: a kind per way to fail, with its status and its name in either API.

Sources: docs/contract.md, "Faults" (alarm notification history) and "Errors" (notification runs).
"""

from collections.abc import Mapping

from notifhist.schemas.fields import MOST_PROBLEMS_NAMED


class ApiError(Exception):
    """A request that fails.

    `status` is the HTTP status, `fault_type` the `type` of a part A fault, `run_error_type` the `type` of a
    part B error. `message` says what is wrong, `details` where, `headers` go onto the response.
    """

    status = 500
    fault_type = "internalError"
    run_error_type = "UNHANDLED_EXCEPTION"
    message = "The service failed. It is not your request's fault; the operator finds it by the request id."

    def __init__(
        self, message: str | None = None, details: str = "", headers: dict[str, str] | None = None
    ) -> None:
        self.message = message or self.message
        self.details = details
        self.headers = headers or {}
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.details}".strip()


RETRY_AFTER_S = "5"


def name_problems(problems: Mapping[str, str]) -> str:
    """Return the `details` that name each wrong member or parameter with what is wrong about it."""
    named = [f"{name}: {problem.removesuffix('.')}" for name, problem in problems.items()]
    if len(named) > MOST_PROBLEMS_NAMED:
        named[MOST_PROBLEMS_NAMED:] = ["and more"]
    return "; ".join(named)


class BadRequest(ApiError):
    """A parameter, an id or a body that does not fit."""

    status, fault_type, run_error_type = 400, "badRequest", "BAD_REQUEST"
    message = "The request does not fit."


class Malformed(BadRequest):
    """A body that cannot be parsed at all; `line` is where."""

    message = "The body cannot be parsed."

    def __init__(self, message: str, problem: str, line: int, column: int) -> None:
        super().__init__(message, f"{problem}: line {line}, column {column}.")
        self.problem, self.line, self.column = problem, line, column


class InvalidLimit(BadRequest):
    """`limit` is no integer from 1 to 1000."""

    fault_type = "invalidLimit"
    message = "The limit is invalid."


class ItemConflict(BadRequest):
    """An item of this id exists in the check, with other content."""

    fault_type = "indexCardinalityConstraintViolation"
    message = "An item of this id exists with other content."


class RunConflict(ApiError):
    """A run of this id exists, with other content."""

    status, fault_type, run_error_type = 409, "badRequest", "CONFLICT"
    message = "A run of this id exists with other content."


class Unauthorized(ApiError):
    """No token, or one that is unknown, expired or revoked."""

    status, fault_type, run_error_type = 401, "unauthorizedError", "FORBIDDEN"
    message = "No valid key."


class Forbidden(ApiError):
    """A key of another tenant, or without the role."""

    status, fault_type, run_error_type = 403, "forbiddenError", "FORBIDDEN"
    message = "This key may not do that."


class NotFound(ApiError):
    """Nothing of that name exists."""

    status, fault_type, run_error_type = 404, "notFoundError", "NOT_FOUND"
    message = "Nothing is found here."


class ParentNotFound(NotFound):
    """The item that an attempt should be added to does not exist."""

    fault_type = "parentNotFoundError"
    message = "The item to add to does not exist."


class MethodNotAllowed(ApiError):
    """The URL exists, and does not know this method."""

    status, fault_type, run_error_type = 405, "methodNotAllowed", "BAD_REQUEST"
    message = "This URL does not know that method; the Allow header lists those it knows."


class NotAcceptable(ApiError):
    """None of the formats of the answer is accepted."""

    status, fault_type, run_error_type = 406, "notAcceptable", "BAD_REQUEST"
    message = "Nothing acceptable can be answered; accept application/json or application/xml."


class RequestTooLarge(ApiError):
    """The body exceeds 2 MiB, or 16 MiB for a container."""

    status, fault_type, run_error_type = 413, "requestTooLargeError", "BAD_REQUEST"
    message = "The body is too large: a container may have 16 MiB, any other body 2 MiB."


class UnsupportedMediaType(ApiError):
    """The body's Content-Type is neither JSON nor XML."""

    status, fault_type, run_error_type = 415, "unsupportedMediaType", "BAD_REQUEST"
    message = "Send the body as application/json or application/xml, and say so in Content-Type."


class RateLimitReached(ApiError):
    """More requests than the limit allows."""

    status, fault_type, run_error_type = 429, "rateLimitReached", "BAD_REQUEST"
    message = "Too many requests; wait as long as Retry-After says."


class InternalError(ApiError):
    """A fault of the service's own."""


class Unavailable(ApiError):
    """The database cannot be reached, or is not ready."""

    status, fault_type = 503, "systemFailureError"
    message = "The service cannot reach its database at the moment; try again."

    def __init__(self, message: str | None = None, details: str = "") -> None:
        super().__init__(message, details, {"Retry-After": RETRY_AFTER_S})


class TooMuch(Unavailable):
    """The database took longer than a request may keep it busy, or the answer is longer than it can give."""

    message = "This is more than the database can do for one request at the moment."

    def __init__(self, is_read: bool) -> None:
        less = "a smaller page, a shorter time, at most two filters, or a searchQuery of three characters or more"
        super().__init__(
            details=f"Ask for less: {less}." if is_read else "Try again later, or send less at once."
        )
