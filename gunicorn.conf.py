"""Plain `gunicorn wsgi:app`, run here, behaves as `notifhist serve` does."""

from notifhist.serving import options

globals().update(options())
