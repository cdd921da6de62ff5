"""Clients that record without pause, while something is done to the service; no request may be lost."""

import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from urllib.parse import urlsplit

from tests.http.helpers import CHECK, JSON
from tests.system.service import PATIENCE_S, Service, wait_until

ITEM = {"state": "OK", "notification_results": [{"notification_id": "ntOne"}]}


class Load:
    """Clients that record items without pause, half of them over new connections, half over lasting ones."""

    def __init__(self, url: str, key: str, tls: ssl.SSLContext | None = None) -> None:
        self._url = urlsplit(url)
        self._tls = tls
        self._headers = {"X-Auth-Token": key, "Content-Type": JSON}
        self.stop, self.ending = threading.Event(), threading.Event()
        self.answered: set[str] = set()
        self._number = count()

    def write(self, lasting: bool) -> int:
        """Record items until told to stop, or until a new connection is refused by a service that ends."""
        written = 0
        while not self.stop.is_set():
            connection = self._connection()
            try:
                connection.connect()
            except (ConnectionRefusedError, ConnectionResetError):
                # Reset while connecting, too, is a refusal: the listener closed amid the handshake, and there
                # is no request yet that could be lost.
                assert self.ending.is_set()
                return written
            promised = not self.ending.is_set()
            try:
                written += self._write_over(connection, lasting)
            except (ConnectionResetError, http.client.RemoteDisconnected):
                if promised:
                    raise
                return written  # it came too late, to a queue that nobody served any more
            finally:
                connection.close()
        return written

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._url.netloc, timeout=PATIENCE_S)
        return http.client.HTTPSConnection(self._url.netloc, timeout=PATIENCE_S, context=self._tls)

    def _write_over(self, connection: http.client.HTTPConnection, lasting: bool) -> int:
        """Record items for as long as both sides keep the connection; every request must be answered."""
        headers = self._headers | ({} if lasting else {"Connection": "close"})
        for written in count(1):
            body = json.dumps(ITEM | {"status": f"item {next(self._number)}"})
            connection.request("POST", CHECK, body, headers)
            with connection.getresponse() as response:
                answer = json.loads(response.read())
                assert response.status == 201, answer
                self.answered.add(answer["id"])
                if response.will_close or self.stop.is_set():
                    return written
        raise AssertionError

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Have all clients write during the block; afterwards each must have had its answers."""
        with ThreadPoolExecutor(6) as pool:
            jobs = [pool.submit(self.write, number % 2 == 0) for number in range(6)]
            try:
                self.wait_for_more(60)
                yield
            finally:
                if not self.ending.is_set():
                    self.stop.set()
                for job in jobs:
                    assert job.result(PATIENCE_S) > 0
                self.stop.set()

    def wait_for_more(self, number: int) -> None:
        """Return once so many more items are recorded."""
        goal = len(self.answered) + number
        wait_until(lambda: len(self.answered) >= goal)


def recorded(service: Service) -> list[str]:
    """Return the ids of all items that the database holds."""
    exported = service.run("export")
    assert exported.returncode == 0, exported.stderr
    return [json.loads(line)["item"]["id"] for line in exported.stdout.splitlines()]
