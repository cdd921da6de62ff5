"""The fixtures read without the service: histories as text, whether they are JSON or XML, and runs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from lxml import etree

FIXTURES = Path(__file__).parents[2] / "fixtures"
LIFELIKE = FIXTURES / "lifelike"
TENANTS = ["123456", "654321", "777000"]


def read_element(element: etree._Element) -> Any:
    """Read what generate.py writes, all values as text: enough to look at, no reader for users."""
    wrapped = {"values", "notification_results", "check_ids"}
    if element.tag in wrapped:
        return [read_element(each) for each in element]
    if len(element) == 0 and element.tag not in {"attempts", "notification_details"}:
        return element.text or ""
    members: dict[str, Any] = {str(name): str(value) for name, value in element.attrib.items()}
    for child in element:
        if child.tag == "attempts":
            members.setdefault("attempts", []).extend([read_element(child)] if len(child) else [])
        elif child.tag == "suppressions":
            members.setdefault("suppressions", []).append(read_element(child))
        else:
            members[str(child.tag)] = read_element(child)
    return members


def read_xml(path: Path) -> Any:
    return read_element(etree.parse(path).getroot())


def as_text(value: Any) -> Any:
    """Return a JSON value as XML carries it."""
    if isinstance(value, dict):
        return {name: as_text(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_text(each) for each in value]
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def in_order(value: Any) -> str:
    """Return a value as text in which the order of members counts."""
    return json.dumps(value)


def history_files() -> list[Path]:
    return sorted(path for path in LIFELIKE.rglob("notification_history/*") if path.is_file())


def container(path: Path) -> Any:
    return as_text(json.loads(path.read_bytes())) if path.suffix == ".json" else read_xml(path)


def items() -> list[dict[str, Any]]:
    return [item for path in history_files() for item in container(path)["values"]]


def runs(tenant: str) -> list[dict[str, Any]]:
    page = json.loads((LIFELIKE / tenant / "api/v1/notifications/logs/run.json").read_bytes())
    assert page == {"page": 0, "runs": page["runs"], "total": len(page["runs"]), "totalPages": 1}
    return list(page["runs"])


def all_runs() -> list[dict[str, Any]]:
    return [run for tenant in TENANTS for run in runs(tenant)]


def members_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every member in a document, however deep, with its value."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield name, each
            yield from members_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from members_of(each)


def values_seen(documents: Any, name: str) -> set[str]:
    return {value for member, value in members_of(documents) if member == name}


def uuid_ms(text: str) -> int:
    return (UUID(text).time - 0x01B21DD213814000) // 10_000
