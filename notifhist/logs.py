"""The log: one JSON object a line on standard output. No header, query string or key is ever in it."""

import atexit
import logging
import os
import re
import sys
import time
from datetime import UTC, datetime
from functools import lru_cache

import orjson

from notifhist.auth import KEY_PREFIX, hide_secrets

LOGGERS = ("notifhist", "gunicorn", "gunicorn.error")

_access = logging.getLogger("notifhist.access")

ACCESS = "%(method)s %(path)s %(status)d"
"""The message of an answered request's record; `record.args` is the whole line, as a dict."""

# Characters that JSON does not escape and that may confuse a reader of lines: DEL and C1 controls, the line
# separators of Unicode; and lone surrogates, which UTF-8 cannot hold.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def configure_logging() -> None:
    """Send the logs of the service and gunicorn to standard output, from INFO up, as JSON lines. Repeatable."""
    atexit.unregister(_end_quietly)
    atexit.register(_end_quietly)
    handler = JsonLines()  # one handler has one lock, so lines of several threads do not mix
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        # gunicorn's debug lines hold the bytes of unfinished requests, keys included.
        logger.setLevel(logging.INFO)
        logger.propagate = False


def log_request(
    *, method: str, path: str, status: int, ms: float, size: int, tenant: str | None, request_id: str
) -> None:
    """Log an answered request: `path` without the query string, `size` of the body in bytes."""
    if not _access.isEnabledFor(logging.INFO):
        return
    line = {
        "time": _time(time.time()),
        "method": _printable(method),
        "path": _printable(path),
        "status": status,
        "ms": round(ms, 3),
        "bytes": size,
        "tenant": None if tenant is None else _printable(tenant),
        "request_id": _printable(request_id),
    }
    # Not by Logger.info(): it would search the stack for its caller first, 1.7 of 8.6 µs.
    _access.handle(logging.LogRecord(_access.name, logging.INFO, __file__, 0, ACCESS, (line,), None))


class JsonLines(logging.Handler):
    """Writes each record as one line to the current `sys.stdout`, in a single write.

    Not a StreamHandler: gunicorn hands the `stream` of such a handler to the app as `wsgi.errors`, which is not JSON.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. If nobody reads standard output any more, as after `| head`, the line is lost in silence."""
        try:
            sys.stdout.buffer.write(render(record) + b"\n")
            sys.stdout.flush()
        except BrokenPipeError:
            return
        except Exception:  # noqa: BLE001 - logging's own convention: report on standard error, go on
            self.handleError(record)


def _end_quietly() -> None:
    """Keep Python from writing once more, at its end, what nobody has read: it would report that it cannot."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def render(record: logging.LogRecord) -> bytes:
    """Return a record as a JSON object."""
    if record.name == _access.name and isinstance(record.args, dict):
        return orjson.dumps(record.args)
    line: dict[str, object] = {
        "time": _time(record.created),
        "level": record.levelname,
        "message": _printable(record.getMessage()),
        "logger": record.name,
    }
    if record.exc_info:
        line["exception"] = _printable(logging.Formatter().formatException(record.exc_info))
    request_id = getattr(record, "request_id", None)
    if request_id is not None:
        line["request_id"] = _printable(str(request_id))
    return orjson.dumps(line)


def _printable(text: str) -> str:
    if text.isascii() and text.isprintable() and KEY_PREFIX not in text:
        return text
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found.group()):04x}", hide_secrets(text))


def _time(seconds: float) -> str:
    whole, ms = divmod(int(seconds * 1000), 1000)
    return f"{_second(whole)}.{ms:03d}Z"


@lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
