"""A socket that listens before the server is there, where its address has to be told."""

import socket

import click

_MOST = 65_535


def listen(bind: str) -> socket.socket:
    """Return a socket that listens at HOST:PORT; clients wait in its backlog. Raises BadParameter for another text."""
    host, _, port = bind.rpartition(":")
    if not host or not _is_port(port):
        raise click.BadParameter("give HOST:PORT", param_hint="--bind")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host.strip("[]"), int(port)), family=family, backlog=2048)


def check_port(bind: str) -> None:
    """Raise BadParameter for HOST:PORT without a port that there is: gunicorn ends in a traceback at it."""
    port = bind.rpartition(":")[2]
    if not bind.startswith(("unix:", "fd:")) and port.isdigit() and not _is_port(port):
        raise click.BadParameter(f"a port is a number up to {_MOST}", param_hint="--bind")


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text[:6]) <= _MOST


def address_of(listener: socket.socket) -> str:
    """Return HOST:PORT of a socket, as a URL has it."""
    host, port = listener.getsockname()[:2]
    return f"{f'[{host}]' if ':' in host else host}:{port}"


def handed_on(listener: socket.socket) -> str:
    """Return what to bind gunicorn to, so that it takes the socket over; it closes it."""
    return f"fd://{listener.detach()}"
