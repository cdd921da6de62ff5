"""A real replica of a real PostgreSQL, made to lag: reads come from it, and nobody misses what he wrote."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifhist.schemas.instants import parse_instant
from notifhist.store.database import ERRORS
from notifhist.store.keys import revoke_keys
from notifhist.store.migrating import migrate
from notifhist.store.replicas import Replica as ReadReplica
from tests.http.helpers import CHECK, RUNS, item_at, run_of
from tests.system.commands import item_line, run, write_lines
from tests.system.conftest import MakeService
from tests.system.postgres import Postgres, Replica
from tests.system.service import PATIENCE_S, ROOT, Client, Service, opened, wait_until
from tests.system.test_outages import assert_unavailable
from tests.system.test_streams import APP, MILLION, ask

OLD_MS = 1_320_885_000_000
NOW = "2011-11-10T01:00:00Z"
OTHER = "654321"
DIES_AFTER_BYTES = 10_000_000
ELSEWHERE = CHECK.replace("123456", OTHER)


@pytest.fixture
def replica(own_postgres: Postgres) -> Iterator[Replica]:
    replica = own_postgres.make_replica()
    yield replica
    replica.clean_up()


@pytest.fixture
def database_url(own_postgres: Postgres) -> str:
    return own_postgres.create_database()


@pytest.fixture
def service(replica: Replica, database_url: str, make_service: MakeService) -> Service:
    return make_service(database_url, REPLICA_URL=replica.url_of(database_url), NOW=NOW).start()


def ids_of(client: Client, url: str) -> list[str]:
    return [item["id"] for item in client.get_json(f"{url}?from=0")["values"]]


def load(database_url: str, folder: Path, tenant: str, number: int) -> str:
    """Load an item into the primary, which the service does not know of; return its id."""
    item = item_at(OLD_MS, number)
    run(database_url, "load", write_lines(folder / "more.ndjson", [item_line(item, tenant=tenant)]))
    return str(item["id"])


def test_a_tenant_reads_what_it_recorded_however_far_the_replica_is(
    service: Service, replica: Replica, database_url: str, tmp_path: Path
) -> None:
    mine, others = (Client(service.url, service.create_key(tenant=tenant)) for tenant in ("123456", OTHER))
    wait_until(lambda: others.get(ELSEWHERE).status_code == 200)
    replica.pause()
    item, later = item_at(OLD_MS, 1), item_at(OLD_MS, 2)
    assert mine.post(CHECK, item).status_code == 201
    assert mine.post(RUNS, run_of(id=7)).status_code == 201
    loaded = load(database_url, tmp_path, OTHER, 3)
    for _ in range(10):  # whichever worker answers
        assert ids_of(mine, CHECK) == [item["id"]]
        assert mine.get_json(f"{CHECK}/{item['id']}") == item
        assert mine.get_json(CHECK.rpartition("/")[0])["check_ids"] == ["chOne"]
        assert mine.get_json(RUNS)["total"] == 1
        assert mine.get(f"{RUNS}/7").status_code == 200
        assert ids_of(others, ELSEWHERE) == []  # it wrote nothing, so it reads the replica
    replica.resume()
    wait_until(lambda: ids_of(others, ELSEWHERE) == [loaded])

    assert mine.post(CHECK, later).status_code == 201
    replica.catch_up()
    replica.pause()
    unseen = load(database_url, tmp_path, "123456", 4)
    seen = [item["id"], later["id"]]
    for _ in range(10):
        assert ids_of(mine, CHECK) == seen  # the replica has all that it wrote by this service
    replica.resume()
    wait_until(lambda: ids_of(mine, CHECK) == [*seen, unseen])


def test_reads_go_on_without_the_primary_and_lack_nothing_once_it_is_back(
    service: Service, own_postgres: Postgres, replica: Replica, database_url: str, make_service: MakeService
) -> None:
    key = service.create_key()
    clients = service.clients_of_each_worker(key, each=2)
    replayed, unseen, later = (item_at(OLD_MS, n) for n in (1, 2, 3))
    assert clients[0].post(CHECK, replayed).status_code == 201
    replica.catch_up()
    replica.pause()
    assert clients[0].post(CHECK, unseen).status_code == 201
    own_postgres.stop("immediate")  # a crash: what the primary knows of positions is lost
    for client in clients:
        assert read(client) == ([replayed["id"]], True)
        assert_unavailable(client.post(CHECK, later))
        assert client.get_json("/readyz") == {"status": "read-only"}
        assert client.get_json("/healthz") == {"status": "ok"}
    other = make_service(database_url, REPLICA_URL=replica.url_of(database_url), NOW=NOW, workers=1).start()
    assert read(other.client(key)) == ([replayed["id"]], True)
    own_postgres.start()
    for client in clients:
        while (answer := read(client))[1]:
            assert answer[0] == [replayed["id"]]
        assert answer[0] == [replayed["id"], unseen["id"]]
    assert clients[0].post(CHECK, later).status_code == 201
    all_ids = [item["id"] for item in (replayed, unseen, later)]
    for client in clients:
        assert read(client) == (all_ids, False)


@pytest.mark.long
def test_keys_are_those_that_the_replica_knows_until_the_primary_is_back(
    service: Service, own_postgres: Postgres, replica: Replica, database_url: str
) -> None:
    revoked = service.client(service.create_key())
    assert revoked.get(CHECK).status_code == 200
    replica.catch_up()
    replica.pause()
    with opened(database_url) as db:
        assert revoke_keys(db, str(revoked.session.headers["X-Auth-Token"]).split("_")[1], 1) == 1
    new = service.client(service.create_key())
    own_postgres.stop("fast")
    assert (read(revoked), new.get(CHECK).status_code) == (([], True), 401)
    own_postgres.start()
    wait_until(lambda: service.ask("/readyz").json() == {"status": "ready"})
    assert revoked.post(CHECK, item_at(OLD_MS, 1)).status_code in (401, 503)  # another worker may not know yet
    wait_until(lambda: new.get(CHECK).status_code == 200)
    wait_until(lambda: revoked.get(CHECK).status_code == 401)


@pytest.mark.long
def test_only_who_saw_a_server_follow_reads_there_once_it_is_promoted(
    service: Service, own_postgres: Postgres, replica: Replica, database_url: str
) -> None:
    key, item = service.create_key(), item_at(OLD_MS, 1)
    clients = service.clients_of_each_worker(key, each=2)
    assert clients[0].post(CHECK, item).status_code == 201
    replica.catch_up()
    own_postgres.stop("fast")
    for client in clients:
        assert read(client) == ([item["id"]], True)
    replica.promote()
    for client in clients:
        assert read(client) == ([item["id"]], True)
        assert_unavailable(client.post(CHECK, item_at(OLD_MS, 2)))
    with opened(replica.url_of(database_url)) as db, pytest.raises(ERRORS, match="follows no primary"):
        ReadReplica(db).newest_ms()
    own_postgres.start()


@pytest.mark.long
def test_all_is_refused_while_there_is_neither(service: Service, own_postgres: Postgres, replica: Replica) -> None:
    client, item = service.client(service.create_key()), item_at(OLD_MS, 1)
    assert client.post(CHECK, item).status_code == 201
    replica.catch_up()
    own_postgres.stop("fast")
    replica.stop()
    assert_unavailable(client.get(CHECK))
    assert client.get("/readyz").status_code == 503
    replica.start()
    wait_until(lambda: read(client) == ([item["id"]], True))
    own_postgres.start()
    wait_until(lambda: read(client) == ([item["id"]], False))


def read(client: Client) -> tuple[list[str], bool]:
    """Return the ids that are answered, and whether the answer says that it may lag, and as of when."""
    answer = client.get(f"{CHECK}?from=0")
    assert answer.status_code in (200, 503), answer.text
    as_of = answer.headers.get("X-Notifhist-As-Of")
    assert as_of is None or abs(parse_instant(as_of) / 1000 - time.time()) < PATIENCE_S
    return [item["id"] for item in answer.json().get("values", [])], as_of is not None


@pytest.mark.long
def test_reads_go_on_without_the_replica_and_come_back_to_it(
    service: Service, replica: Replica, database_url: str, tmp_path: Path
) -> None:
    mine = Client(service.url, service.create_key())
    item = item_at(OLD_MS, 1)
    assert mine.post(CHECK, item).status_code == 201
    replica.stop()
    for _ in range(10):
        assert ids_of(mine, CHECK) == [item["id"]]
    replica.start()
    replica.pause()
    loaded = load(database_url, tmp_path, "123456", 2)
    wait_until(lambda: ids_of(mine, CHECK) == [item["id"]])  # the replica is read again: it knows less
    replica.resume()
    wait_until(lambda: ids_of(mine, CHECK) == [item["id"], loaded])


@pytest.mark.long
def test_a_stream_from_a_replica_that_dies_is_whole_or_broken_off(
    own_postgres: Postgres, replica: Replica, make_service: MakeService
) -> None:
    url = own_postgres.create_database()
    with opened(url) as db:
        migrate(db)
    service = make_service(url, REPLICA_URL=replica.url_of(url), command=APP, cwd=ROOT, workers=1).start()
    key = service.create_key()
    replica.catch_up()
    received, has_died = b"", False
    with ask(service, key, f"/streams/numbers/{MILLION}?format=ndjson") as sock:
        while data := sock.recv(1 << 20):
            received += data
            if len(received) > DIES_AFTER_BYTES and not has_died:
                with opened(replica.url_of(url)) as copy:
                    asked = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%RECURSIVE numbers%%'"
                    assert copy.execute_sql(asked).fetchone()[0] > 1  # this query is one
                replica.stop()
                has_died = True
    assert (received.count(b'"timestamp"') == MILLION) is received.endswith(b"\r\n0\r\n\r\n")
    assert service.ask("/streams/numbers/3?format=csv", key).text.count("\n") == 4
    replica.start()
