"""gunicorn: settings, worker."""
