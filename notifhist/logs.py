"""The log: one JSON object a line on standard output. No header, query string or key is ever in it."""

import logging
import re
import sys
from datetime import UTC, datetime

import orjson

from notifhist.auth import hide_secrets

ACCESS_LOGGER = "notifhist.access"
LOGGERS = ("notifhist", "gunicorn", "gunicorn.error")

# What JSON leaves as it is and a reader of lines may trip over: DEL and C1 controls, the line separators of
# Unicode, and lone surrogates, which UTF-8 cannot hold.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def configure_logging() -> None:
    """Send what the service and gunicorn log to standard output, from INFO up, as JSON lines. Repeatable."""
    handler = JsonLines()  # one, and so one lock: lines of several threads do not mix
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        # gunicorn's debug lines hold the bytes of unfinished requests, keys included.
        logger.setLevel(logging.INFO)
        logger.propagate = False


def log_request(
    *,
    method: str,
    path: str,
    status: int,
    ms: float,
    size: int,
    tenant: str | None,
    request_id: str,
) -> None:
    """Write the line of an answered request: `path` without the query string, `size` of the body in bytes."""
    members = {
        "method": _printable(method),
        "path": _printable(path),
        "status": status,
        "ms": round(ms, 3),
        "bytes": size,
        "tenant": None if tenant is None else _printable(tenant),
        "request_id": _printable(request_id),
    }
    logging.getLogger(ACCESS_LOGGER).info("", extra={"members": members})


class JsonLines(logging.Handler):
    """Writes each record as one line to the standard output of the moment, in a single write.

    No StreamHandler: gunicorn hands the `stream` of those to the app as `wsgi.errors`, which is no JSON.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line. A standard output that is gone costs the line, not the request."""
        try:
            sys.stdout.write(render(record).decode() + "\n")
            sys.stdout.flush()
        except Exception:  # noqa: BLE001 - logging's own convention: report on standard error, go on
            self.handleError(record)


def render(record: logging.LogRecord) -> bytes:
    """Return a record as a JSON object: its `members` if it has them, else level, message and the like."""
    line: dict[str, object] = {"time": _time(record.created)}
    members: dict[str, object] | None = getattr(record, "members", None)
    if members is not None:
        return orjson.dumps(line | members)
    line["level"] = record.levelname
    line["message"] = _printable(record.getMessage())
    line["logger"] = record.name
    if record.exc_info:
        line["exception"] = _printable(logging.Formatter().formatException(record.exc_info))
    request_id = getattr(record, "request_id", None)
    if request_id is not None:
        line["request_id"] = _printable(str(request_id))
    return orjson.dumps(line)


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found.group()):04x}", hide_secrets(text))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
