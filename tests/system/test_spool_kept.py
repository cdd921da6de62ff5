"""What others than the service say, and what one record gets, keep no other record from being sent."""

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.system.commands import run
from tests.system.sending import Sending, ids_of


class _Elsewhere(BaseHTTPRequestHandler):
    """A proxy that does not know the service, or takes no large bodies."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status = 404 if "elsewhere" in self.path else 413
        self.send_response(status)
        self.send_header("Content-Length", "19")
        self.end_headers()
        self.wfile.write(b"404 page not found\n")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("prefix", "reason"), [("/elsewhere", "the URL may be wrong, its host or its prefix: 404"), ("", "413")]
)
def test_what_a_proxy_refuses_is_kept(sending: Sending, prefix: str, reason: str) -> None:
    sending.put(3)
    with HTTPServer(("127.0.0.1", 0), _Elsewhere) as proxy:
        thread = Thread(target=proxy.serve_forever)
        thread.start()
        try:
            output = sending.flush("--url", f"http://127.0.0.1:{proxy.server_port}{prefix}", code=75)
        finally:
            proxy.shutdown()
            thread.join()
    assert f"the rest is kept: {reason} 404 page not found" in output
    assert len(sending.runs.records()) == 3


@pytest.mark.parametrize("unfit", ["", ".", "..", "a/b"])
def test_a_record_whose_id_cannot_stand_in_a_path_keeps_no_other(sending: Sending, unfit: str) -> None:
    """Its path would be another one, of which the service says what it says of a wrong URL."""
    record = {"tenant": sending.tenant, "entity_id": "e", "alarm_id": "a", "check_id": "c", "item": {"id": unfit}}
    sending.runs.own.mkdir(0o700, exist_ok=True)
    (sending.runs.own / "00000000-0000-1000-8000-000000000001.ndjson").write_text(json.dumps(record) + "\n")
    sent = sending.put(2)
    assert "sent 2, rejected 1" in sending.flush()
    (reason,) = (sending.runs.own / "rejected").glob("*.reason")
    assert "cannot stand in a path" in reason.read_text()
    assert ids_of(sending.items()) == sent


def test_one_record_that_is_refused_or_unreadable_keeps_no_other(sending: Sending) -> None:
    tenant, sending.tenant = sending.tenant, "another"
    refused = sending.put(2)
    sending.tenant = tenant
    sent = sending.put(2)
    output = sending.flush(code=75)
    assert "sent 2, rejected 0" in output
    assert "the rest is kept: 403" in output
    assert all(f"kept {each}.ndjson: 403" in output for each in refused)
    assert ids_of(sending.items()) == sent


def test_names_of_files_and_folders_of_others_are_told_harmlessly(sending: Sending) -> None:
    sending.put()
    (sending.runs.own / "a\n\x1b[31mUser 0: sent 9.ndjson").write_text("")
    output = sending.flush()
    assert "rejected a\\n\\x1b[31mUser 0: sent 9.ndjson: not a record" in output
    assert "\x1b" not in output
    if os.geteuid() == 0:
        (sending.runs.base / "60002").mkdir()
        settings: Any = {"SPOOL": str(sending.runs.base), "RUN_CONFIG": "/nowhere"}
        for told in (sending.flush(), run("", "spool", "status", **settings).output):
            assert "User 60002: nothing is recorded" in told
            assert "is of user 0" in told
