"""The first start of docs/operating.md, carried out as it is written there."""

import json
import os
import subprocess
import sysconfig
from pathlib import Path

from tests.deploy.documents import blocks
from tests.system.conftest import MakeService
from tests.system.service import PATIENCE_S, environment


def test_whoever_follows_the_manual_records_an_item(make_service: MakeService, tmp_path: Path) -> None:
    (make_key, serve), (check, record, read), (doctor,) = blocks("operating.md", "A first start")
    variables = environment({}) | {"PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"}

    def sh(*lines: str) -> str:
        done = subprocess.run(
            ["sh", "-ec", "\n".join(lines)],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    variables["KEY"] = sh(make_key).strip()
    assert serve == "notifhist serve"
    service = make_service(f"sqlite:///{tmp_path}/notifhist.db", cwd=tmp_path, workers=1).start()
    check = check.replace("http://127.0.0.1:8000", service.url)
    assert service.url in check
    head, _, body = sh(check, record).partition("\n\n")
    item = json.loads(body)
    assert head.startswith("HTTP/1.1 201 ")
    assert f"Location: {check.removeprefix('CHECK=')}/{item['id']}\n" in head
    assert {"id", "timestamp", "state", "status"} < item.keys()
    assert "HTTP/1.1 415 " in sh(check, record.replace("-H 'Content-Type: application/json' ", ""))
    assert json.loads(sh(check, read))["values"] == [item]
    assert sh(doctor).endswith(": nothing found.\n")
