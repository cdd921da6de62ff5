import pytest

from notifhist import errors
from notifhist.errors import ApiError, name_problems

FAULTS = {
    errors.BadRequest: (400, "badRequest", "BAD_REQUEST"),
    errors.Malformed: (400, "badRequest", "BAD_REQUEST"),
    errors.InvalidLimit: (400, "invalidLimit", "BAD_REQUEST"),
    errors.ItemConflict: (400, "indexCardinalityConstraintViolation", "BAD_REQUEST"),
    errors.Unauthorized: (401, "unauthorizedError", "FORBIDDEN"),
    errors.Forbidden: (403, "forbiddenError", "FORBIDDEN"),
    errors.NotFound: (404, "notFoundError", "NOT_FOUND"),
    errors.ParentNotFound: (404, "parentNotFoundError", "NOT_FOUND"),
    errors.MethodNotAllowed: (405, "methodNotAllowed", "BAD_REQUEST"),
    errors.NotAcceptable: (406, "notAcceptable", "BAD_REQUEST"),
    errors.RunConflict: (409, "badRequest", "CONFLICT"),
    errors.LogConflict: (409, "badRequest", "CONFLICT"),
    errors.PreconditionFailed: (412, "preconditionFailed", "CONFLICT"),
    errors.RequestTooLarge: (413, "requestTooLargeError", "BAD_REQUEST"),
    errors.UnsupportedMediaType: (415, "unsupportedMediaType", "BAD_REQUEST"),
    errors.RateLimitReached: (429, "rateLimitReached", "BAD_REQUEST"),
    errors.InternalError: (500, "internalError", "UNHANDLED_EXCEPTION"),
    errors.Unavailable: (503, "systemFailureError", "UNHANDLED_EXCEPTION"),
    errors.NotUpToDate: (503, "systemFailureError", "UNHANDLED_EXCEPTION"),
    errors.AnswerTooLong: (503, "systemFailureError", "UNHANDLED_EXCEPTION"),
    errors.QueryTooExpensive: (503, "systemFailureError", "UNHANDLED_EXCEPTION"),
}


def kinds(parent: type[ApiError] = ApiError) -> set[type[ApiError]]:
    found = {kind for kind in parent.__subclasses__() if kind.__module__ == errors.__name__}
    return found.union(*(kinds(kind) for kind in found)) if found else found


def test_every_kind_is_in_the_table() -> None:
    assert kinds() == set(FAULTS)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_kind_has_its_published_status_and_names(kind: type[ApiError]) -> None:
    assert (kind.status, kind.fault_type, kind.run_error_type) == FAULTS[kind]
    assert kind.message.endswith(".")


def test_an_error_tells_what_where_and_by_which_headers() -> None:
    error = errors.NotFound("No such item.", "a", {"Retry-After": "5"})
    assert (error.message, error.details, error.headers) == ("No such item.", "a", {"Retry-After": "5"})
    usual = errors.NotFound()
    assert (usual.message, usual.details, usual.headers) == (errors.NotFound.message, "", {})
    assert str(usual) == usual.message


def test_a_malformed_body_is_told_with_line_and_column() -> None:
    error = errors.Malformed("The body is not JSON.", "Expecting value", 3, 7)
    assert (error.details, error.line) == ("Expecting value: line 3, column 7.", 3)


def test_problems_are_named_one_after_the_other() -> None:
    assert name_problems({"limit": "Must be from 1 to 1000.", "to": "Not a number"}) == (
        "limit: Must be from 1 to 1000; to: Not a number"
    )
    assert name_problems({}) == ""


@pytest.mark.parametrize(("count", "parts", "last"), [(1000, 1000, "999: x"), (1002, 1001, "and more")])
def test_very_many_problems_are_cut_off(count: int, parts: int, last: str) -> None:
    named = name_problems({str(number): "x" for number in range(count)}).split("; ")
    assert (len(named), named[-1]) == (parts, last)
