"""The published clients live in environments of their own, and talk to a service in a process of its own."""

from tests.system.conftest import make_service

__all__ = ["make_service"]
