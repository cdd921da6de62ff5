"""Bodies that are longer than one document may be: what cannot be read is told by its place, what can by its size."""

import pytest
from flask.testing import FlaskClient

from notifhist.serializers.bodies import MAX_BODY_BYTES
from tests.conftest import NOW_MS
from tests.http.helpers import CHECK, JSON, LOGS, RUNS, XML, id_at, item_at, post

FILL = "x" * MAX_BODY_BYTES
ITEM = f"{CHECK}/{id_at(NOW_MS)}"
URLS = {
    "an item": ("PUT", ITEM),
    "an attempt": ("POST", f"{ITEM}/notification_results/n/attempts"),
    "a run": ("PUT", f"{RUNS}/1"),
    "a log": ("PUT", f"{LOGS}/1"),
}
UNREADABLE = {JSON: f'{{"state":"{FILL}",\n}}', XML: f"<item><x>{FILL}</x>\n&</item>"}
READABLE = {JSON: f'{{"state":"{FILL}"}}', XML: f"<item><x>{FILL}</x></item>"}


@pytest.mark.parametrize("content_type", [JSON, XML])
@pytest.mark.parametrize("name", URLS)
def test_a_long_document_is_told_from_one_that_cannot_be_read(
    client: FlaskClient, name: str, content_type: str
) -> None:
    post(client, CHECK, item_at(NOW_MS))
    before = client.get(CHECK).data
    method, url = URLS[name]
    for bodies, status in ((UNREADABLE, 400), (READABLE, 413)):
        answer = client.open(url, method=method, data=bodies[content_type].encode(), content_type=content_type)
        assert answer.status_code == status, answer.text
        assert ("line 2" in answer.text) == (status == 400)
    assert client.get(CHECK).data == before
