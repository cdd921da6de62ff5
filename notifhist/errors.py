"""The ways in which a request can fail, each with its HTTP status and its name in either API.

Sources: docs/contract.md, "Faults" (the history API) and "Errors" (the runs API).
"""

from collections.abc import Iterable, Mapping

from notifhist.auth import hide_secrets
from notifhist.schemas.fields import MAX_PROBLEMS_NAMED

RETRY_AFTER_S = "5"
CHALLENGE = 'Bearer realm="notifhist"'
"""What a 401 must have (RFC 9110, 15.5.2): without it some clients throw the document away."""


class ApiError(Exception):
    """A request that fails.

    `status` is the HTTP status, `fault_type` the `type` of a fault of the history API, `run_error_type` the `type` of
    an error of the runs API. `message` names the problem, `details` its place; `headers` are added to the response.
    `description` explains the error in /openapi.json; if it is empty, `message` does.
    """

    status = 500
    fault_type = "internalError"
    run_error_type = "UNHANDLED_EXCEPTION"
    message = "The service failed. It is not your request's fault; the operator finds it by the request id."
    description = ""

    def __init__(self, message: str | None = None, details: str = "", headers: dict[str, str] | None = None) -> None:
        self.message = message or self.message
        self.details = hide_secrets(details)
        self.headers = headers or {}
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.details}".strip()


def name_problems(problems: Mapping[str, str]) -> str:
    """Return the `details` that name each wrong member or parameter with its problem."""
    named = [f"{name}: {problem.removesuffix('.')}" for name, problem in problems.items()]
    if len(named) > MAX_PROBLEMS_NAMED:
        named[MAX_PROBLEMS_NAMED:] = ["and more"]
    return "; ".join(named)


class BadRequest(ApiError):
    """The request does not follow the contract."""

    status, fault_type, run_error_type = 400, "badRequest", "BAD_REQUEST"
    message = "The request does not fit."


class Malformed(BadRequest):
    """The body cannot be parsed at all; `line` and `column` say where."""

    message = "The body cannot be parsed."

    def __init__(self, message: str, problem: str, line: int, column: int) -> None:
        super().__init__(message, f"{problem}: line {line}, column {column}.")
        self.problem, self.line, self.column = problem, line, column


class InvalidLimit(BadRequest):
    """`limit` is not an integer from 1 to 1000."""

    fault_type = "invalidLimit"
    message = "The limit is invalid."


class ItemConflict(BadRequest):
    """An item to record differs from the item that the check has under this id."""

    fault_type = "indexCardinalityConstraintViolation"
    message = "An item of this id exists with other content."


class RunConflict(ApiError):
    """A run to record differs from the run that the tenant has under this id."""

    status, fault_type, run_error_type = 409, "badRequest", "CONFLICT"
    message = "A run of this id exists with other content."


class LogConflict(ApiError):
    """A log to record differs from the log that the tenant has under this id."""

    status, fault_type, run_error_type = 409, "badRequest", "CONFLICT"
    message = "A log of this id exists with other content."


class Unauthorized(ApiError):
    """The caller has no valid key."""

    status, fault_type, run_error_type = 401, "unauthorizedError", "FORBIDDEN"
    message = "No valid key."
    description = "There is no key, or it is unknown, expired or revoked."

    def __init__(self, message: str | None = None, details: str = "") -> None:
        super().__init__(message, details, {"WWW-Authenticate": CHALLENGE})


class Forbidden(ApiError):
    """The caller's key is valid, but not for this."""

    status, fault_type, run_error_type = 403, "forbiddenError", "FORBIDDEN"
    message = "This key may not do that."
    description = "The key belongs to another tenant, or lacks the role."


class NotFound(ApiError):
    """The URL is no route, or names nothing that exists."""

    status, fault_type, run_error_type = 404, "notFoundError", "NOT_FOUND"
    message = "Nothing is found here."


class ParentNotFound(NotFound):
    """The item that an attempt should be added to does not exist."""

    fault_type = "parentNotFoundError"
    message = "The item to add to does not exist."


class MethodNotAllowed(ApiError):
    """The URL exists, but not with this method."""

    status, fault_type, run_error_type = 405, "methodNotAllowed", "BAD_REQUEST"
    message = "This URL does not know that method; the Allow header lists those it knows."


class NotAcceptable(ApiError):
    """The caller accepts none of the formats that the view offers; the message lists them."""

    status, fault_type, run_error_type = 406, "notAcceptable", "BAD_REQUEST"
    message = "None of the formats of the answer is accepted."


class PreconditionFailed(ApiError):
    """`If-Match` or `If-None-Match` of a request that writes does not hold (RFC 9110, 13.1); nothing has changed."""

    status, fault_type, run_error_type = 412, "preconditionFailed", "CONFLICT"
    message = "What is here is not what If-Match or If-None-Match says; nothing has changed."


class RequestTooLarge(ApiError):
    """The body is larger than the view reads."""

    status, fault_type, run_error_type = 413, "requestTooLargeError", "BAD_REQUEST"
    message = "The body is too large: a container may have 16 MiB, any other body 2 MiB."


class UnsupportedMediaType(ApiError):
    """The body has no format that the view reads; the message lists them."""

    status, fault_type, run_error_type = 415, "unsupportedMediaType", "BAD_REQUEST"
    message = "The body's Content-Type is none that is read here."


class RateLimitReached(ApiError):
    """The account has sent more requests than its limit allows."""

    status, fault_type, run_error_type = 429, "rateLimitReached", "BAD_REQUEST"
    message = "Too many requests; wait as long as Retry-After says."


class InternalError(ApiError):
    """The service itself is at fault."""


class Unavailable(ApiError):
    """The database cannot be reached, or is not ready."""

    status, fault_type = 503, "systemFailureError"
    message = "The service cannot reach its database at the moment; try again."
    description = (
        "The database cannot be reached or is not ready, or this is more than it can do for one request, or a page of "
        "several records would have more than 64 MiB. `details` may say what to ask for instead."
    )

    def __init__(self, message: str | None = None, details: str = "") -> None:
        super().__init__(message, details, {"Retry-After": RETRY_AFTER_S})


class NotUpToDate(Unavailable):
    """Migrations or fills are yet to be done, whose names are given."""

    message = "The tables are not up to date: run `notifhist migrate`."

    def __init__(self, pending: Iterable[str]) -> None:
        super().__init__(details=", ".join(pending))


class QueryTooExpensive(Unavailable):
    """A statement ran longer than a request may keep the database busy, or its result exceeds a database limit."""

    message = "This is more than the database can do for one request at the moment."

    def __init__(self, is_read: bool) -> None:
        less = "a smaller page, a shorter time, at most two filters, or a searchQuery of three characters or more"
        super().__init__(details=f"Ask for less: {less}." if is_read else "Try again later, or send less at once.")


class AnswerTooLong(Unavailable):
    """A page of several records would be longer in the format that is asked for than it may be."""

    message = "The page is too long to be answered."

    def __init__(self, max_bytes: int) -> None:
        less = "Ask for fewer records, by limit or pageSize; JSON is shorter than XML."
        super().__init__(details=f"It may have {max_bytes} bytes. {less}")
