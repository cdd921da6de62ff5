"""A run of a command as a record: one line of the export format, as it stands in the spool and in the history."""

import signal
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from notifhist.run.ids import item_id, path_id
from notifhist.run.presets import Notification
from notifhist.run.texts import shorten

Record = dict[str, Any]

NO_RESULT = "no result: the wrapper was killed, perhaps with the command (Nagios does so at notification_timeout)"
_MESSAGE_CHARS = 1000
_NS_PER_MS = 1_000_000


class Caller(NamedTuple):
    """Where and when a command runs. `started_ns`: since the epoch."""

    tenant: str
    host: str
    pid: int
    uid: int
    started_ns: int


class Ended(NamedTuple):
    """How one run of the command ended. `status` is what `waitpid` says; `output` the end of what it wrote."""

    started_ns: int
    duration_ns: int
    status: int
    output: str
    note: str = ""
    """What the exit code does not say: that it could not be started, or that the time was up."""


def started(caller: Caller, notification: Notification, argv: Sequence[str], extra: Mapping[str, str]) -> Record:
    """Return the record of a command that runs. `argv`: what is to be kept of it; `extra`: more of the source."""
    details = {
        **({"to": notification.recipient} if notification.recipient else {}),
        **notification.details,
        **({"argv": shorten(argv)} if argv else {}),
    }
    result = {
        "notification_id": notification.plan or notification.recipient or notification.type,
        "notification_type": notification.type,
        "notification_details": details,
        "in_progress": True,
        "attempts": [],
    }
    source = {"feed": "run", "preset": notification.preset, "host": caller.host, "pid": caller.pid, "uid": caller.uid}
    optional = ("plan", "notification_plan_id"), ("transaction", "transaction_id"), ("status", "status")
    item = {
        "id": item_id(caller.started_ns, "run", caller.host, str(caller.pid), str(caller.started_ns)),
        "timestamp": caller.started_ns // _NS_PER_MS,
        **{member: text for name, member in optional if (text := getattr(notification, name))},
        "state": notification.state,
        **({"previous_state": notification.previous_state} if notification.previous_state else {}),
        "notification_results": [result],
        "source": source | dict(extra) | source,
    }
    ids = {f"{name}_id": path_id(getattr(notification, name)) for name in ("entity", "alarm", "check")}
    return {"tenant": caller.tenant, **ids, "item": item}


def with_attempt(record: Record, ended: Ended) -> Record:
    """Return the record with one more attempt."""
    exited = ended.status >= 0
    attempt = {
        "message": _message(ended),
        "from": record["item"]["source"]["host"],
        "at": ended.started_ns // _NS_PER_MS,
        "duration_ms": ended.duration_ns // _NS_PER_MS,
        "exit_code": ended.status if exited else None,
        "signal": None if exited else _signal_name(-ended.status),
        "output_tail": ended.output,
    }
    result = result_of(record)
    return _with_result(record, result | {"attempts": [*result["attempts"], attempt]})


def finished(record: Record, *, success: bool) -> Record:
    """Return the record after the last attempt, which tells how the whole ended."""
    result = result_of(record)
    attempts = result.pop("attempts")
    whole = {"in_progress": False, "success": success, "message": attempts[-1]["message"]}
    return _with_result(record, result | whole | {"attempts": attempts})


def without_result(record: Record, output: str) -> Record:
    """Return the record of a command whose end nobody saw. `output`: the end of what it wrote."""
    result = result_of(record)
    last = result["attempts"][-1] if result["attempts"] else {"at": record["item"]["timestamp"], "duration_ms": 0}
    attempt = {
        "message": NO_RESULT,
        "from": record["item"]["source"]["host"],
        "at": last["at"] + last["duration_ms"],
        "output_tail": output,
    }
    whole = {"in_progress": False, "attempts": [*result["attempts"], attempt], "message": NO_RESULT}
    return _with_result(record, result | whole)


def without_output(record: Record) -> Record:
    """Return the record with empty output, for a disk that has no room for more."""
    result = result_of(record)
    return _with_result(record, result | {"attempts": [each | {"output_tail": ""} for each in result["attempts"]]})


def result_of(record: Record) -> dict[str, Any]:
    """Return a copy of the one result of a run."""
    return dict(record["item"]["notification_results"][0])


def _with_result(record: Record, result: dict[str, Any]) -> Record:
    return {**record, "item": {**record["item"], "notification_results": [result]}}


def _message(ended: Ended) -> str:
    how = ended.note or (f"exit {ended.status}" if ended.status >= 0 else f"killed by {_signal_name(-ended.status)}")
    last = (ended.output.rstrip().splitlines() or [""])[-1].strip()
    return f"{how}: {last}"[:_MESSAGE_CHARS] if last else how


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names
        return f"signal {number}"
