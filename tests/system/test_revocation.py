"""A revoked key is refused at once by every process on the machine."""

from tests.http.helpers import CHECK, RUNS
from tests.system.commands import run
from tests.system.conftest import MakeService

EACH = 3


def test_a_revoked_key_is_refused_at_once_by_every_worker(database_url: str, make_service: MakeService) -> None:
    services = [make_service(database_url, workers=2).start() for _ in range(2)]
    kept, revoked = services[0].create_key(), services[0].create_key()
    clients = [client for service in services for client in service.clients_of_each_worker(revoked, each=1)]
    others = [client for service in services for client in service.clients_of_each_worker(kept, each=1)]
    for client in (*clients, *others):
        assert [client.get(CHECK).status_code for _ in range(EACH)] == [200] * EACH  # each worker remembers it by now
    run(database_url, "keys", "revoke", revoked.split("_")[1])
    assert [client.get(CHECK).status_code for client in clients] == [401] * 4
    assert [client.get(RUNS).status_code for client in clients] == [403] * 4
    assert [client.get(CHECK).status_code for client in others] == [200] * 4
