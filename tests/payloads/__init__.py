"""Payloads of alerting tools, and the items that are made of them (`*.mapped.json`)."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
FIRST_PUSH, SECOND_PUSH, EMAIL_PUSH = (f"grafana-loki-push-{name}" for name in ("1-failed", "2-ok", "3-failed-email"))
PUSHES = (FIRST_PUSH, SECOND_PUSH, EMAIL_PUSH)
"""Three attempts of one notification: Slack fails, then accepts; the e-mail fails."""

APPRISE_RESULT = "apprise-2.3.0-result"
"""What Apprise says of one service that accepted, and of one that failed thrice."""


def payload(name: str) -> Any:
    """Return the value of a JSON payload."""
    return json.loads((_FOLDER / f"{name}.json").read_text())


def packed_push() -> bytes:
    """Return FIRST_PUSH in protobuf, packed by snappy, as Grafana sends it."""
    return b64decode((_FOLDER / f"{FIRST_PUSH}.pb.snappy.b64").read_bytes())
