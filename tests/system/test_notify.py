"""What the service tells systemd: the protocol of sd_notify(3), on a socket as systemd has one."""

import signal
import socket
import time
from pathlib import Path

import pytest

from tests.system.conftest import MakeService
from tests.system.service import PATIENCE_S


def test_systemd_is_told_of_each_change(
    sqlite_database: str, make_service: MakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.settimeout(PATIENCE_S)
        told.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        service = make_service(sqlite_database, workers=1).start()
        assert told.recv(1000).startswith(b"READY=1\n")
        service.signal(signal.SIGHUP)
        reloading, since_us = told.recv(1000).split(b"\nMONOTONIC_USEC=")
        assert reloading == b"RELOADING=1"
        assert 0 < time.monotonic() - int(since_us) / 1e6 < PATIENCE_S
        assert told.recv(1000) == b"READY=1"
        assert len(service.workers()) == 2
        assert service.stop() == 0
        assert told.recv(1000) == b"STOPPING=1"
