import logging
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from notifhist.logs import JsonLines, configure_logging, log_request, render

pytestmark = pytest.mark.usefixtures("json_log")


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return what each line of standard output holds; `splitlines` knows more ends of lines than most do."""
    return [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]


def request(**changes: Any) -> None:
    members: dict[str, Any] = {
        "method": "GET",
        "path": "/healthz",
        "status": 200,
        "ms": 1.23456,
        "size": 15,
        "tenant": "acme",
        "request_id": "0123abcd",
    }
    log_request(**members | changes)


def test_the_access_line_has_exactly_its_members(capsys: pytest.CaptureFixture[str]) -> None:
    request()
    line = capsys.readouterr().out
    time = re.compile(r'^\{"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",')
    assert time.sub("{", line) == (
        '{"method":"GET","path":"/healthz","status":200,"ms":1.235,"bytes":15,"tenant":"acme",'
        '"request_id":"0123abcd"}\n'
    )
    assert time.match(line)


class Records(logging.Handler):
    """A handler of an operator's own."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(record)


@pytest.fixture(params=["notifhist.access", "notifhist", ""], ids=["access", "notifhist", "root"])
def records(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Records]:
    monkeypatch.setattr(logging.getLogger("notifhist"), "propagate", True)
    logger, handler = logging.getLogger(request.param), Records()
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def test_an_operators_own_handler_sees_each_answered_request(
    records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    request(path="/a b", tenant=None)
    (record,) = records.seen
    assert (record.name, record.levelname) == ("notifhist.access", "INFO")
    assert record.getMessage() == "GET /a b 200"
    assert [record.args] == written(capsys)


def test_a_level_or_a_filter_of_the_access_logger_silences_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("notifhist.access")
    monkeypatch.setattr(logger, "filters", [lambda record: record.args["path"] != "/healthz"])
    request()
    request(path="/readyz")
    logger.setLevel(logging.WARNING)
    request(path="/metrics")
    logger.setLevel(logging.NOTSET)
    assert [line["path"] for line in written(capsys)] == ["/readyz"]


def test_no_handler_is_given_a_key(records: Records) -> None:
    request(path=f"/nh_0123456789ab_{'s' * 43}")
    assert "sss" not in records.seen[0].getMessage()


def test_an_unknown_tenant_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    request(tenant=None)
    assert written(capsys)[0]["tenant"] is None


@pytest.mark.parametrize(
    "nasty", ["a\nb", "a\r\n{}", "a\x00b", "a\x1b[2J", "a\x85b", "a\x9bb", "a\u2028b", "a\ud800b", 'a"b\\', "é😀"]
)
def test_no_character_breaks_the_line(nasty: str, capsys: pytest.CaptureFixture[str]) -> None:
    request(path=nasty, tenant=nasty)
    (access,) = written(capsys)
    # Not through a logger: pytest-xdist cannot carry the surrogate that pytest would capture there.
    (line,) = render(logging.makeLogRecord({"msg": nasty})).decode().splitlines()
    assert access["path"] == access["tenant"] == orjson.loads(line)["message"]
    assert access["path"][0] == nasty[0]


def test_a_message_has_level_and_logger_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("notifhist.web.rate_limits").warning("let through: %d", 3)
    (line,) = written(capsys)
    assert list(line) == ["time", "level", "message", "logger"]
    assert (line["level"], line["message"], line["logger"]) == (
        "WARNING",
        "let through: 3",
        "notifhist.web.rate_limits",
    )


def test_an_exception_comes_with_its_text_and_the_request_id(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("no\ngood \x85")
    except ValueError:
        logging.getLogger("notifhist").exception("failed", extra={"request_id": "0123abcd"})
    (line,) = written(capsys)
    assert line["exception"].startswith("Traceback")
    assert "ValueError: no\ngood \\u0085" in line["exception"]
    assert line["request_id"] == "0123abcd"


def test_gunicorn_writes_the_same_lines_and_nothing_below_info(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("gunicorn.error").info("Booting worker")
    logging.getLogger("gunicorn.error").debug("bytes of a request")
    logging.getLogger("gunicorn.http.wsgi").warning("dropped")
    assert [line["logger"] for line in written(capsys)] == ["gunicorn.error", "gunicorn.http.wsgi"]


def test_configuring_twice_writes_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    request()
    assert len(written(capsys)) == 1


def test_no_line_is_written_where_the_log_is_not_ours(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("notifhist").handlers = []
    request()
    assert capsys.readouterr().out == ""


def test_a_standard_output_that_is_gone_fails_no_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    gone = os.fdopen(writer, "w")
    monkeypatch.setattr(sys, "stdout", gone)
    request()
    logging.getLogger("notifhist").warning("nobody reads this")
    assert capsys.readouterr().err == ""
    with pytest.raises(BrokenPipeError):
        gone.close()


def test_a_message_that_cannot_be_made_fails_no_request(capsys: pytest.CaptureFixture[str]) -> None:
    # Not through a logger: pytest, which listens there too, would raise.
    JsonLines().handle(logging.makeLogRecord({"msg": "%d", "args": ("no number",)}))
    out, err = capsys.readouterr()
    assert out == ""
    assert "TypeError" in err
