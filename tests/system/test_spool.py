"""Sending what waits in the spool to a real service: nothing is lost, and nothing comes twice."""

import os
import signal
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from notifhist.run.record import NO_RESULT
from notifhist.run.sending import HOST_REFUSED
from notifhist.run.spool import Spool
from tests.run.runs import sh
from tests.system.commands import run
from tests.system.conftest import MakeService
from tests.system.sending import CREATOR, Sending, ids_of
from tests.system.service import PATIENCE_S, Service, wait_until


def test_what_waits_is_sent_oldest_first_and_removed(sending: Sending) -> None:
    sent = sending.put(20)
    assert f"User {os.geteuid()}: sent 20, rejected 0, dropped 0" in sending.flush()
    assert ids_of(sending.items()) == sent
    assert sending.runs.names() == ["lock"]
    assert "sent 0" in sending.flush()


def test_the_same_record_twice_is_one_item(sending: Sending) -> None:
    sending.put()
    (file,) = sending.runs.own.glob("*.ndjson")
    line = file.read_bytes()
    sending.flush()
    file.write_bytes(line)
    assert "sent 1" in sending.flush()
    assert len(sending.items()) == 1


def test_a_run_sends_its_record_by_itself(sending: Sending) -> None:
    options = ("--entity", "enOne", "--alarm", "alOne", "--check", "chOne")
    assert sending.runs.run(*options, *sh("echo no; exit 75"), variables=sending.variables()).returncode == 75
    (item,) = wait_until(sending.items)
    assert item["notification_results"][0]["message"] == "exit 75: no"
    wait_until(lambda: sending.runs.names() == ["lock"])


def test_a_run_is_sent_once_the_service_is_back(fragile: Sending) -> None:
    fragile.service.kill()
    options = ("--entity", "enOne", "--alarm", "alOne", "--check", "chOne")
    assert fragile.runs.run(*options, *sh("exit 1"), variables=fragile.variables()).returncode == 1
    fragile.service.start()
    (item,) = wait_until(fragile.items)
    assert item["notification_results"][0]["attempts"][0]["exit_code"] == 1


def test_a_killed_run_is_finished_as_no_result(sending: Sending) -> None:
    options = ("--entity", "enOne", "--alarm", "alOne", "--check", "chOne")
    command = (*options, *sh("echo connecting; exec sleep 60"))
    with sending.runs.start(
        *command, variables={"NOTIFHIST_TENANT": sending.tenant}, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        sending.runs.wait_for_output(b"connecting\n")
        assert "sent 0" in sending.flush()  # it runs: it is not touched
        os.killpg(process.pid, signal.SIGKILL)
    assert "sent 1" in sending.flush()
    (result,) = sending.items()[0]["notification_results"]
    assert (result["in_progress"], result["message"]) == (False, NO_RESULT)
    assert "success" not in result
    assert result["attempts"][0]["output_tail"] == "connecting\n"
    assert sending.runs.names() == ["lock"]


def test_a_run_that_ends_while_another_process_sends_is_sent_by_that(fragile: Sending) -> None:
    """Its own process for sending gives up at once, since the other holds the lock."""
    fragile.service.kill()
    options = ("--entity", "enOne", "--alarm", "alOne", "--check", "chOne")
    variables = fragile.variables()
    with fragile.runs.start(*options, *sh("read line"), stdin=subprocess.PIPE, variables=variables) as process:
        wait_until(fragile.runs.records)
        assert fragile.runs.run(*options, *sh("exit 0"), variables=variables).returncode == 0
        wait_until(lambda: (fragile.runs.own / "lock").exists())
        process.communicate(b"\n", timeout=PATIENCE_S)
    fragile.service.start()
    wait_until(lambda: fragile.has(2))


def test_nothing_is_sent_while_another_process_sends(sending: Sending) -> None:
    sent = sending.put(3)
    with Spool.open(str(sending.runs.base)).locked() as is_ours:
        assert is_ours
        assert "sent 0, rejected 0, dropped 0" in sending.flush()
        assert len(sending.runs.records()) == 3
    assert "sent 3" in sending.flush()
    assert ids_of(sending.items()) == sent


def test_an_interrupted_flush_is_continued(sending: Sending) -> None:
    sent = sending.put(80)
    for at_least in (1, 30):
        process = sending.start()
        wait_until(partial(sending.has, at_least))
        process.kill()
        process.communicate()
    sending.flush()
    assert ids_of(sending.items()) == sent
    assert sending.runs.names() == ["lock"]


def test_a_revoked_key_loses_nothing(sending: Sending) -> None:
    sent = sending.put(3)
    key_id = sending.key_file.read_text().split("_")[1]
    run(sending.service.settings["DATABASE_URL"], "keys", "revoke", key_id)
    output = sending.flush(code=75)
    assert "the rest is kept: 401" in output
    assert len(sending.runs.records()) == 3
    sending.renew_key()
    sending.flush()
    assert ids_of(sending.items()) == sent


@pytest.mark.parametrize(("role", "tenant"), [("monitoring:observer", ""), (CREATOR, "another")])
def test_a_key_that_may_not_keeps_all(sending: Sending, role: str, tenant: str) -> None:
    sending.put(2)
    sending.renew_key(role, tenant=tenant)
    output = sending.flush(code=75)
    assert "sent 0, rejected 0" in output
    assert len(sending.runs.records()) == 2


def test_a_service_that_is_away_keeps_all(fragile: Sending) -> None:
    fragile.put(2)
    fragile.service.kill()
    assert "the rest is kept: no answer: " in fragile.flush(code=75)
    assert len(fragile.runs.records()) == 2


def test_a_wrong_url_keeps_all_and_is_told(sending: Sending) -> None:
    """The service itself answers 404 below a prefix that it does not have, as a proxy or another server does."""
    sent = sending.put(2)
    output = sending.flush("--url", f"{sending.service.url}/history", code=75)
    assert "sent 0, rejected 0" in output
    assert "the rest is kept: the URL may be wrong, its host or its prefix: 404" in output
    assert len(sending.runs.records()) == 2
    sending.flush()
    assert ids_of(sending.items()) == sent


def test_a_host_that_the_service_refuses_keeps_all(
    sqlite_database: str, make_service: MakeService, tmp_path: Path
) -> None:
    service = make_service(sqlite_database, workers=1, ALLOWED_HOSTS="127.0.0.1").start()
    sending = Sending(tmp_path, service)
    sending.put(2)
    output = sending.flush("--url", service.url.replace("127.0.0.1", "localhost"), code=75)
    assert "the rest is kept: the URL may be wrong" in output
    assert HOST_REFUSED in output
    assert len(sending.runs.records()) == 2


def test_a_limit_that_is_reached_keeps_the_rest(
    sqlite_database: str, make_service: MakeService, tmp_path: Path
) -> None:
    fragile = Sending(tmp_path, make_service(sqlite_database, workers=1, HISTORY_RATE_LIMIT="3/day").start())
    fragile.put(5)
    output = fragile.flush(code=75)
    assert "sent 3, rejected 0" in output
    assert "the rest is kept: 429" in output
    assert len(fragile.runs.records()) == 2


def test_a_database_that_is_away_keeps_all(fragile: Sending) -> None:
    fragile.put(2)
    path = Path(fragile.service.settings["DATABASE_URL"].removeprefix("sqlite:///"))
    moved = path.parent.rename(path.parent.with_name(path.parent.name + "-moved"))
    try:
        assert "the rest is kept: 503" in fragile.flush(code=75)
    finally:
        moved.rename(path.parent)
    assert len(fragile.runs.records()) == 2


def test_what_is_never_taken_is_put_aside_with_the_reason(sending: Sending) -> None:
    sending.put(status=5)  # not a text
    sending.put(status="x" * 3_000_000)  # too large
    sent = sending.put(2)
    (sending.runs.own / "half.ndjson").write_text('{"tenant": "acme"')
    (sending.runs.own / "list.ndjson").write_text("[1, 2]\n")
    (sending.runs.own / "link.ndjson").symlink_to("/etc/hostname")
    (sending.runs.own / "path.ndjson").write_text(
        '{"tenant": "t", "entity_id": "a/b", "alarm_id": "a", "check_id": "c", "item": {"id": "x"}}\n'
    )
    begun: Any = {"feed": "run"}
    sending.put(source=begun, notification_results=[{"in_progress": True, "attempts": []}])  # of no host
    output = sending.flush()
    assert "sent 2, rejected 7" in output
    rejected = sending.runs.own / "rejected"
    reasons = " ".join(path.read_text() for path in rejected.glob("*.reason"))
    assert reasons.count("not a record: ") == 5
    assert "400 " in reasons
    assert "413 " in reasons
    assert len(list(rejected.glob("*.ndjson"))) == 7
    assert ids_of(sending.items()) == sent


def test_what_is_too_old_or_too_much_is_not_sent_and_told(sending: Sending) -> None:
    old, dropped, *sent = sending.put(4)
    os.utime(sending.runs.own / f"{old}.ndjson", (1, 1))
    size = sum((sending.runs.own / f"{each}.ndjson").stat().st_size for each in sent)
    output = sending.flush("--older-than", "7d", "--limit-bytes", str(size))
    assert "sent 2, rejected 1, dropped 1" in output
    assert f"dropped {dropped}.ndjson" in output
    assert (sending.runs.own / "rejected" / f"{old}.ndjson").exists()
    assert ids_of(sending.items()) == sent


def test_leftovers_of_killed_processes_are_removed_in_time(sending: Sending) -> None:
    sent = sending.put()
    new, old = ("00000000-0000-1000-8000-000000000001", "00000000-0000-1000-8000-000000000002")
    for name in (f"{new}.out", f"{old}.out", f"{old}.err", f".{old}.ndjson.tmp"):
        (sending.runs.own / name).touch()
        os.utime(sending.runs.own / name, None if name.startswith(new) else (1, 1))
    sending.flush()
    assert sending.runs.names() == [f"{new}.out", "lock"]
    assert ids_of(sending.items()) == sent


def test_status_tells_what_waits(sending: Sending) -> None:
    settings: Any = {"SPOOL": str(sending.runs.base), "RUN_CONFIG": "/nowhere"}
    sending.put(2)
    told = run("", "spool", "status", **settings).output
    assert f"User {os.geteuid()}: 2 waiting, 0 running, 0 rejected, " in told


def test_root_sends_what_others_have_with_their_rights_alone(shared_service: Service) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may act for others")
    with tempfile.TemporaryDirectory(prefix="notifhist-spool-") as name:  # another user may not enter pytest's folders
        folder = Path(name)
        folder.chmod(0o755)
        sending = Sending(folder, shared_service)
        sent = sending.put()
        (file,) = sending.runs.own.glob("*.ndjson")
        secret = folder / "secret"
        secret.write_bytes(file.read_bytes())
        secret.chmod(0o600)
        another = sending.runs.base / "12345"
        another.mkdir(mode=0o700)
        file.rename(another / file.name)
        os.symlink(secret, another / "secret.ndjson")
        (another / "rejected").symlink_to(folder)
        for path in (another, another / file.name):
            os.chown(path, 12345, 12345)
        assert "cannot be read as its user" in sending.flush(code=75)
        assert secret.stat().st_uid == 0
        (another / "rejected").unlink()
        kept = another / "00000000-0000-1000-8000-000000000001.ndjson"
        kept.write_bytes(secret.read_bytes())
        kept.chmod(0o600)
        output = sending.flush(code=75)
        assert "User 12345: sent 1, rejected 1" in output
        assert f"kept {kept.name}: not readable: Permission denied" in output
        kept.unlink()
        assert ids_of(sending.items()) == sent
        assert secret.exists()


def test_it_is_told_what_is_missing(tmp_path: Path) -> None:
    settings: Any = {"SPOOL": str(tmp_path), "RUN_CONFIG": "/nowhere"}
    assert "Give --url and --key-file" in run("", "spool", "flush", code=1, **settings).output
    options = ("--url", "http://127.0.0.1:1", "--key-file", str(tmp_path / "none"))
    assert "The key cannot be read" in run("", "spool", "flush", *options, code=1, **settings).output
    for key in ("", "two words", "two\nlines", "schlüssel"):
        (tmp_path / "key").write_text(key)
        options = ("--url", "http://127.0.0.1:1", "--key-file", str(tmp_path / "key"))
        assert "The key " in run("", "spool", "flush", *options, code=1, **settings).output
    options = ("--url", "history.example.net", "--key-file", str(tmp_path / "none"))
    assert "is not like https://" in run("", "spool", "flush", *options, code=1, **settings).output
