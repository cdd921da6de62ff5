"""`notifhist serve --load`: a service for contract tests in any language."""

import os
import re
import signal
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import requests

from notifhist.auth import new_key
from notifhist.server import settings
from notifhist.store.machine import SHARED_MEMORY
from notifhist.testing.process import PATIENCE_S
from notifhist.transfer import demo, scratch
from tests.system.commands import run
from tests.system.service import NOTIFHIST, ROOT, environment, wait_until

PUBLISHED = ROOT / "fixtures/published"
CHECK = "/entities/enOne/alarms/alOne/notification_history/chOne"
KEY = "Tell me, Muse!"
NOW = "2011-11-10T01:00:00Z"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """Note how the server is started, which is not."""
    found, before = SimpleNamespace(), {*scratch_folders(os.getpid())}  # the plugin's server has one

    def serve(create_app: object, bind: str, workers: int, threads: int) -> None:
        found.create_app, found.workers = create_app, workers
        found.folders = sorted({*scratch_folders(os.getpid())} - before)
        os.close(int(bind.removeprefix("fd://")))
        raise SystemExit(0)

    monkeypatch.setattr(settings, "serve", serve)
    monkeypatch.setattr(os, "environ", {**os.environ})
    return found


def scratch_folders(pid: int) -> list[Path]:
    return list(SHARED_MEMORY.glob(f"{scratch._PREFIX}{pid}-*"))


def test_it_serves_the_records_to_the_key_and_leaves_nothing(tmp_path: Path) -> None:
    options = ("--load", str(PUBLISHED), "--now", NOW, "--key", KEY, "--port", "0")
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen([*NOTIFHIST, "serve", *options], env=environment({}), cwd=tmp_path, stdout=out)
    try:
        url = wait_until(lambda: (tmp_path / "out").read_text().partition("\n")[0])
        basic = "Basic " + b64encode(f"me:{KEY}".encode()).decode()
        # By default a query looks back 7 days, from the time that was given.
        for headers in ({"X-Auth-Token": KEY}, {"Authorization": f"Bearer {KEY}"}, {"Authorization": basic}):
            answer = requests.get(f"{url}/v1.0/123456{CHECK}", headers=headers, timeout=PATIENCE_S)
            assert len(answer.json()["values"]) == 1
            assert "X-RateLimit-Limit" not in answer.headers
        assert requests.delete(f"{url}{CHECK}/{answer.json()['values'][0]['id']}", headers=headers, timeout=9).ok
        assert requests.get(f"{url}{CHECK}", headers={"X-Auth-Token": KEY[:-1]}, timeout=9).status_code == 401
        assert requests.post(f"{url}/ui/login", data={"key": KEY}, allow_redirects=False, timeout=9).status_code == 303
        assert scratch_folders(process.pid) != []
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
    assert scratch_folders(process.pid) == []
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_what_a_killed_one_left_is_removed_by_the_next_and_not_what_is_in_use() -> None:
    left = SHARED_MEMORY / f"{scratch._PREFIX}{os.getpid()}-left"  # by a pid of another container, say
    left.mkdir()
    (left / "lock").touch()
    with scratch.scratch_folder() as used:
        # As in a container that sees no process of ours.
        elsewhere = used.rename(SHARED_MEMORY / f"{scratch._PREFIX}999999999-used")
        try:
            with scratch.scratch_folder() as folder:
                assert folder.is_dir()
                assert not left.exists()
                assert elsewhere.exists()
            assert not folder.exists()
        finally:
            elsewhere.rename(used)
    assert not used.exists()


FORKED = """
import os, signal, time
from notifhist.transfer.scratch import scratch_folder
with scratch_folder() as folder:
    if worker := os.fork():
        print(folder, worker, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
"""


def test_a_worker_that_outlives_its_master_keeps_the_folder() -> None:
    with subprocess.Popen([sys.executable, "-c", FORKED], stdout=subprocess.PIPE, text=True) as master:
        assert master.stdout is not None
        path, worker = master.stdout.readline().split()
        try:
            with scratch.scratch_folder():
                assert Path(path).exists()
        finally:
            os.kill(int(worker), signal.SIGKILL)

    def is_removed() -> bool:
        with scratch.scratch_folder():
            return not Path(path).exists()

    assert wait_until(is_removed)


def test_a_tenant_may_be_named(load: SimpleNamespace, tmp_path: Path) -> None:
    printed = run("", "serve", "--load", tmp_path, "--key", KEY, "--tenant", "other", "--port", "0").stdout
    assert urlsplit(printed.splitlines()[0]).hostname == "127.0.0.1"
    assert load.workers == 1
    assert len(load.folders) == 1
    assert not load.folders[0].exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port", "0", "--bind", "127.0.0.1:0"], "Give --port or --bind, not both."),
        (["--load", "."], "--load needs --key"),
        (["--load", ".", "--key", KEY, "--demo"], "--load needs --key, and is not for --demo."),
        (["--load", ".", "--key", "1234567"], "give 8 printable characters"),
        (["--load", ".", "--key", KEY, "--tenant", "a/b"], "--tenant"),
        (["--load", "no-such-folder", "--key", KEY], "does not exist"),
        (["--load", ".", "--key", KEY, "--bind", "127.0.0.1"], "give HOST:PORT"),
        (["--key", KEY], "--now, --key and --tenant need --load."),
    ],
)
def test_options_that_do_not_fit_are_refused(
    options: list[str], message: str, load: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in " ".join(run("", "serve", *options, code=2).stderr.replace("│", "").split())


def test_the_demo_tells_the_port_that_it_got(
    load: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "set_up", lambda *_: new_key()[0])
    printed = run(f"sqlite:///{tmp_path}/demo.db", "serve", "--demo", "--port", "0").stdout
    ports = set(re.findall(r"127\.0\.0\.1:(\d+)", printed))
    assert len(ports) == 1
    assert int(ports.pop()) > 0
    assert printed.split()[4].startswith("http://127.0.0.1:")


def test_a_bad_record_ends_it_with_file_and_line(load: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "123456/api/v1/notifications/logs/run.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"runs": [\n{"id": 1}]}')
    refused = run("", "serve", "--load", tmp_path, "--key", KEY, "--port", "0", code=1)
    assert f"{path}:2: " in refused.stderr
    assert refused.stdout == ""


def test_a_clock_that_cannot_be_is_refused(load: SimpleNamespace, tmp_path: Path) -> None:
    assert "NOTIFHIST_NOW" in run("", "serve", "--load", tmp_path, "--key", KEY, "--now", "noon", code=1).stderr
