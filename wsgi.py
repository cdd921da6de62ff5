"""The WSGI callable of a checkout, for `gunicorn wsgi:app`."""

from notifhist.wsgi import app

__all__ = ["app"]
