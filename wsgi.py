"""The WSGI callable, for `gunicorn wsgi:app`."""

from notifhist.factory import create_app
from notifhist.logs import configure_logging

configure_logging()
app = create_app()
