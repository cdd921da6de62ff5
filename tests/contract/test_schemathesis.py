"""A machine that knows the description alone asks whatever it can think of, and finds nothing.

`SCHEMATHESIS_EXAMPLES=1000 pytest tests/contract/test_schemathesis.py` asks for longer, and something else
each time.
"""

import os
import re
import traceback
import uuid
import zlib
from typing import Any

import pytest
import schemathesis
from flask.testing import FlaskClient
from hypothesis import strategies as st
from lxml import etree
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.engine import events, from_schema
from schemathesis.openapi.checks import AllowHeaderMismatch, RejectedPositiveData, UnsupportedMethodResponse
from schemathesis.specs.openapi.checks import ignored_auth
from schemathesis.transport.serialization import serialize_xml_with_schema

from notifhist.schemas import deliveries, logs, runs
from notifhist.schemas.delivery_queries import DeliveryFiltersSchema
from notifhist.schemas.fields import NUMBER_RANGE, UUID_EPOCH_TICKS, QueryTexts
from notifhist.schemas.instants import parse_instant
from notifhist.schemas.item_ids import key_of
from tests.conftest import NOW_MS, TENANT, MakeApp, authorized
from tests.contract.described import Description, Json
from tests.http.helpers import CHECK, LOGS, RUNS, item_at, log_of, run_of, xsd

pytestmark = pytest.mark.long

EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES")
PHASES: dict[str, Json] = {
    "coverage": {},
    "fuzzing": {"generation": {"max-examples": int(EXAMPLES or 8)}},
    # What fits, so that something is there to go on with; by the links of the description, since those
    # that schemathesis infers take one id for another.
    "stateful": {
        "generation": {"max-examples": int(EXAMPLES or 30), "mode": "positive"},
        "inference": {"algorithms": []},
    },
}
ACCEPTS = ("", "application/json", "application/xml", "text/xml", "*/*")
XML = ("application/xml", "text/xml")
LISTS = {
    "notificationTypes": runs.NOTIFICATION_TYPES,
    "statuses": (*runs.STATUSES, *logs.STATUSES),
    "recipientTypes": logs.RECIPIENT_TYPES,
    "mediums": runs.MEDIUMS,
    "ignoredReasons": (*runs.IGNORED_REASONS, *logs.IGNORED_REASONS),
    "failedReasons": (*runs.FAILED_REASONS, *logs.FAILED_REASONS),
    "outcome": deliveries.OUTCOMES,
}
"""The values of the runs' lists and of the logs'."""
TEXTS = {each.data_key or name for name, each in DeliveryFiltersSchema().fields.items() if isinstance(each, QueryTexts)}
"""The parameters with any texts."""


def time_uuid(time: int, rest: int) -> str:
    version_1 = (time & 0xFFFFFFFF) << 96 | (time >> 32 & 0xFFFF) << 80 | 1 << 76 | (time >> 48) << 64
    return str(uuid.UUID(int=version_1 | 0b10 << 62 | rest))


# A pattern could hardly say that the time is not before 1970.
schemathesis.openapi.format(
    "uuid", st.builds(time_uuid, st.integers(UUID_EPOCH_TICKS, 2**60 - 1), st.integers(0, 2**62 - 1))
)


@schemathesis.serializer(*XML)
def write_xml(context: Any, value: Any) -> bytes:
    """Write a body as its `xml` objects say; by itself schemathesis knows no root where there are two."""
    schema = dict(context.case.operation.get_body_for_media_type(context.case.media_type).optimized_schema)
    any_of = schema.pop("anyOf", ())
    if any_of:
        is_container = isinstance(value, dict) and bool({"values", "runs", "logs"} & value.keys())
        schema.update(any_of[-1] if is_container else any_of[0])
    written: bytes = serialize_xml_with_schema(value, schema, None)["data"]
    return written


@schemathesis.check
def xml_fits_the_xml_schema(context: Any, response: Any, case: Any) -> None:
    content_type = response.headers.get("content-type", [""])[0]
    if content_type.partition(";")[0] in XML and not case.path.endswith(".xsd"):
        assert xsd().validate(etree.fromstring(response.content)), str(xsd().error_log)


@schemathesis.check
def errors_bear_the_id_of_the_response(context: Any, response: Any, case: Any) -> None:
    if response.status_code >= 400 and response.status_code != 429 and response.content:
        assert response.headers["x-response-id"][0].encode() in response.content


@schemathesis.check
def keys_are_asked_for(context: Any, response: Any, case: Any) -> bool | None:
    """The check `ignored_auth`, without the settings of a network that it would hand on to WSGI."""
    for name in ("max_redirects", "verify", "cert"):
        context.internals.transport_kwargs.pop(name, None)
    found: bool | None = ignored_auth(context, response, case)
    return found


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Json) -> None:
    """Ask for any format, and let what is meant to fit also fit where no JSON schema can say how."""
    asked = repr((case.path_parameters, case.query, case.body)).encode(errors="replace")
    accept = ACCEPTS[zlib.crc32(asked) % len(ACCEPTS)]
    if accept:
        case.headers["Accept"] = accept
    if case.meta and not case.meta.generation.mode.is_negative and isinstance(case.body, dict):
        case.body = within_range(case.body)
        if not case.path.endswith("/attempts"):
            make_fit(case)


def make_fit(case: Any) -> None:
    """Leave the reserved `values` out of an item, and make ids and times agree."""
    path = case.path_parameters or {} if case.method == "PUT" else {}
    name = "runs" if case.path.startswith(RUNS) else "logs" if case.path.startswith(LOGS) else "values"
    if path or not is_list_of_documents(case.body.get(name)):
        case.body.pop(name, None)
    for document in case.body.get(name, [case.body]):
        if number := path.get("run_id", path.get("log_id")):
            document.update({"id": int(number)} if "id" in document else {})
        if "uuid" in path and "id" in document:
            document["id"] = path["uuid"]
        item_id = path.get("uuid", document.get("id"))
        if "timestamp" in document and item_id is not None:
            document["timestamp"] = key_of(item_id).timestamp


def is_list_of_documents(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, dict) and bool({"state", "status"} & each.keys()) for each in value
    )


def within_range(value: Any) -> Any:
    """Return `value` without integers that are out of range: `additionalProperties: true` bounds none."""
    if isinstance(value, dict):
        return {name: within_range(member) for name, member in value.items()}
    if isinstance(value, list):
        return [within_range(member) for member in value]
    is_beyond = type(value) is int and not NUMBER_RANGE[0] <= value <= NUMBER_RANGE[1]
    return 0 if is_beyond else value


@schemathesis.hook
def filter_failure(context: Any, failure: Failure, case: Any, response: Any) -> bool:
    """Keep a failure unless it is the contract's own wish."""
    if isinstance(failure, AcceptedNegativeData):
        if "/feeds/" in case.path:  # an error would lose what is odd
            return False
        return not (is_negative_xml(case) or is_taken_all_the_same(case) or is_null_for_absent(case))
    if isinstance(failure, RejectedPositiveData):
        # What is there already decides these two, not the request; the 400 of the first one is published.
        conflicts = b"indexCardinalityConstraintViolation" in response.content or response.status_code == 412
        # No parameter alone says how many buckets there would be.
        return not conflicts and b" buckets, and " not in response.content
    if isinstance(failure, UnsupportedMethodResponse | AllowHeaderMismatch):
        return str(case.path) != RUNS  # which is the URL of a log as well, whose id is no number: PUT is 400
    return True


def is_negative_xml(case: Any) -> bool:
    """XML has no types: a number where text should be is text, a list of one is that one."""
    return case.media_type in XML and case.body is not None


def is_taken_all_the_same(case: Any) -> bool:
    """More is taken of some parameters than a description for generated clients can say."""
    data = case.meta.phase.data
    wrong = {mutation.parameter for mutation in getattr(data, "mutations", ())} or {data.parameter}
    query = case.query or {}
    return all(name in query and is_lax(name, query[name]) for name in wrong)


def is_lax(name: str, value: Any) -> bool:
    if name in TEXTS:  # whatever stands there is a text, as `null`
        return not isinstance(value, dict)
    values = [str(each) for each in (value if isinstance(value, list) else [value])]
    if name in ("notificationRunIds", "recipientEntityIds"):  # as below, and blanks beside commas
        return all(re.fullmatch("-?[0-9]{1,18}|", part.strip()) for each in values for part in each.split(","))
    if name in LISTS:  # comma-separated as well, and empty: none
        return all(part.strip() in ("", *LISTS[name]) for each in values for part in each.split(","))
    if name in ("from", "to"):  # beyond int64 as well, and dates
        return all(re.fullmatch("-?[0-9]+", each) or is_iso(each) for each in values[:1])
    if name in ("fromDate", "untilDate"):  # ISO 8601 has more forms than RFC 3339
        return all(is_iso(each) for each in values[:1])
    return False


def is_iso(text: str) -> bool:
    try:
        parse_instant(text)
    except ValueError:
        return False
    return True


def is_null_for_absent(case: Any) -> bool:
    """A null member counts as absent; none is described as nullable, since no answer has one."""
    if not isinstance(case.body, dict):
        return False
    without = without_nulls(case.body)
    description = Description(case.operation.schema.raw_schema)
    operation = description.document["paths"][case.path][case.method.lower()]
    schema = operation["requestBody"]["content"][case.media_type]["schema"]
    return without != case.body and not description.problems(schema, without)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(member) for name, member in value.items() if member is not None}
    return [without_nulls(member) for member in value] if isinstance(value, list) else value


def seed(client: FlaskClient) -> None:
    results = [{"notification_id": "ntOne", "attempts": [{"message": "refused", "from": "ele"}]}]
    items = [item_at(NOW_MS - n, n, notification_results=results) for n in range(3)]
    about = [{"id": n, "name": "n", "type": "ENTITY", "tag": "t"} for n in range(2)]
    for url, document in (
        (CHECK, {"values": items}),
        (RUNS, {"runs": [run_of(notificationObjects=about)]}),
        (LOGS, {"logs": [log_of(recipientEmail="a@example.com", recipientEntityId=1)]}),
    ):
        assert client.post(url, json=document).status_code == 201


def found_by(schema: Any) -> list[str]:
    """Return what schemathesis finds, each thing once."""
    found = {}
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError):
            found[str(event.value)] = "".join(traceback.format_exception(event.value))
        if isinstance(event, events.FatalError):
            raise event.exception
        if not isinstance(event, events.ScenarioFinished):
            continue
        for case_id, checks in event.recorder.checks.items():
            for info in (check.failure_info for check in checks):
                if info is not None:
                    answer = event.recorder.interactions[case_id].response
                    text = f"{info.failure.message}\n{info.code_sample}\n{answer and answer.content!r}"
                    found.setdefault(f"{info.failure.operation}: {info.failure.title}", text)
    return [f"{title}\n{text}" for title, text in found.items()]


# It asks from a thread of its own, whose connection to the database goes when the thread does.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
# The first phase, the longest, asks for what is refused: no database decides that.
@pytest.mark.parametrize(
    ("database_url", "phase"),
    [("sqlite", "coverage"), *((each, phase) for each in ("sqlite", "postgres") for phase in ("fuzzing", "stateful"))],
    indirect=["database_url"],
)
def test_a_machine_finds_nothing(make_app: MakeApp, key: str, phase: str) -> None:
    # Without limits every request is answered, and without retention whatever was recorded is shown.
    app = make_app(HISTORY_RATE_LIMIT="", RUNS_RATE_LIMIT="", RETENTION_DAYS=0)
    seed(authorized(app, key))
    config = schemathesis.Config.from_dict(
        {
            "headers": {"X-Auth-Token": key, "Authorization": f"Bearer {key}"},
            "parameters": {"path.tenant_id": TENANT},
            "generation": {"database": "none", "deterministic": EXAMPLES is None},
            "phases": {"examples": {"enabled": False}}
            | {name: {"enabled": name == phase} | settings for name, settings in PHASES.items()},
            "checks": {"ignored_auth": {"enabled": False}},  # see keys_are_asked_for
        }
    )
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app, config=config)
    # The same views answer at both their URLs; fuzzing asks them at both, the others at the first.
    without_twins = schema.exclude(operation_id_regex="_of_own_tenant$")
    found = found_by(schema if phase == "fuzzing" else without_twins)
    assert not found, "\n\n".join(found)
