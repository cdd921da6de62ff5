"""The WSGI callable, for `gunicorn notifhist.wsgi:app` where the service is installed."""

from notifhist.factory import create_app
from notifhist.logs import configure_logging

configure_logging()
app = create_app()
