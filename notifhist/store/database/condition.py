"""What an operator should know of a database and of the nodes of a cluster."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


@dataclass(frozen=True)
class Condition:
    """What an operator should know of a database; None where the engine has no such thing."""

    syncs_commits: bool = True
    """False if the server may lose what it has committed when its machine crashes."""
    file: Path | None = None
    is_in_wal_mode: bool | None = None
    was_in_wal_mode: bool | None = None
    """Whether it was so before this connection, which has tried to switch to it."""
    clock_ms: float | None = None
    """The server's time, ms since the epoch, UTC."""
    version: int | None = None
    """The major version of the server: programs of older versions refuse to copy it."""
    connections: int | None = None
    max_connections: int | None = None
    """How many clients are connected to the server, and how many may be."""
    is_replica: bool = False


class Node(NamedTuple):
    """A node of a cluster: how many shards of the tables it has, and how many bytes these take."""

    name: str
    shards: int
    bytes: int
