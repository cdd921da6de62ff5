"""Plain `gunicorn wsgi:app`, run here, behaves as `notifhist serve` does."""

from notifhist.server.settings import options

globals().update(options())
