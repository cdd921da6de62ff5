"""The application factory, for `flask --app app run`."""

from notifhist.factory import create_app

__all__ = ["create_app"]
