"""The service and a list that may be streamed, for `gunicorn tests.system.streaming_app:app`."""

from notifhist.factory import create_app
from notifhist.web.apis import APIS
from tests.http.toy_stream import STREAMS

app = create_app(apis=(*APIS, STREAMS))
