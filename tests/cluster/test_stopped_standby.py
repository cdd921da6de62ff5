"""A synchronous standby that is stopped: no write is confirmed, and who only reads does not wait for that."""

from concurrent.futures import ThreadPoolExecutor

from tests.cluster.nodes import Cluster
from tests.http.helpers import CHECK, RUNS, item_at
from tests.system.conftest import MakeService
from tests.system.service import wait_until
from tests.system.test_operations import samples
from tests.system.test_outages import NOW_MS, assert_unavailable

WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
GIVEN_UP = ("notifhist_database_given_up_total", "late")
TIMEOUT_S = 3


def test_writes_are_refused_and_reads_are_answered_while_the_standby_stands_still(
    own_cluster: Cluster, make_service: MakeService
) -> None:
    service = make_service(own_cluster.create_database(), STATEMENT_TIMEOUT_S=str(TIMEOUT_S)).start()
    key = service.create_key()
    first, *items = [item_at(NOW_MS, n) for n in range(5)]
    assert service.ask(CHECK, key, "POST", json=first).status_code == 201
    writers, readers = (service.clients_of_each_worker(key, each=2) for _ in range(2))
    own_cluster.standby.freeze()
    with ThreadPoolExecutor(len(writers)) as pool:
        answers = [pool.submit(client.post, CHECK, item) for client, item in zip(writers, items, strict=True)]
        wait_until(lambda: len(own_cluster.primary.execute(WAITING)) == len(writers))  # so many threads there are
        before = own_cluster.primary.execute(WAITING)
        for client in readers:
            for path in (CHECK, RUNS, "/healthz", "/readyz", "/metrics"):
                assert client.get(path).status_code == 200
        assert own_cluster.primary.execute(WAITING) == before
        for answer in answers:
            assert_unavailable(answer.result())
    assert samples(readers[0])[GIVEN_UP] == len(writers)
    assert own_cluster.primary.execute(WAITING) == []
    # The primary has the items, and the standby does not: nobody may be told yet that they are there.
    assert len(readers[0].get_json(CHECK)["values"]) == len([first, *items])
    assert_unavailable(writers[0].post(CHECK, items[0]))
    gone = f"{CHECK}/{first['id']}"
    assert_unavailable(writers[0].request("DELETE", gone))
    assert readers[0].get(gone).status_code == 404
    assert_unavailable(writers[0].request("DELETE", gone))
    own_cluster.standby.thaw()
    assert writers[0].request("DELETE", gone).status_code == 404
    for client, item in zip(writers, items, strict=True):
        assert client.post(CHECK, item).status_code == 200
