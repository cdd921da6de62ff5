"""Results: what they are made of, and as tables of markdown."""

import math
import os
import platform
import sqlite3
import statistics
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

Cell = dict[str, Any]  # some rounds' values, their median and quartiles, and a unit
Row = list[str | Cell]
Table = dict[str, Any]
Numbers = Mapping[str, Mapping[str, Sequence[float]]]  # by workload and server, a number of each round
FIGURES = ("measured", "wanted", "")
"""The heads of what `figure` returns, behind the first."""
SERVERS = ("bare", "Flask view", "FastAPI", "service")
NOT_MEASURED = "–"
_LIBRARIES = ("fastapi", "flask", "gunicorn", "lxml", "marshmallow", "orjson", "peewee", "pydantic", "uvicorn")


def cell(rounds: Iterable[float], unit: str = "") -> Cell:
    """Return a cell of some rounds' values."""
    values = list(rounds)
    low = middle = high = values[0]
    if len(values) > 1:
        low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "q1": low, "q3": high, "unit": unit, "rounds": values}


def quotients(over: Iterable[float], under: Iterable[float]) -> list[float]:
    """Return how many times the one the other is, round by round; nan where that is 0."""
    return [a / (b or math.nan) for a, b in zip(over, under, strict=True)]


def figure(name: str, rounds: Iterable[float], unit: str = "", wanted: str = "") -> Row:
    """Return a row: a name, a cell, what is wanted of its median, such as "≤ 1.5", and whether it is so."""
    value, (sign, _, limit) = cell(rounds, unit), wanted.partition(" ")
    if not wanted:
        return [name, value, "", ""]
    met = value["median"] >= float(limit) if sign == "≥" else value["median"] <= float(limit)
    return [name, value, wanted, "met" if met else "NOT met"]


def compared(head: str, titles: Mapping[str, str], numbers: Numbers, unit: str = "") -> Table:
    """Return a table, by workload: each server's numbers, and their ratios to the first server's."""
    rows = []
    for workload, (first, *others) in ((name, by_server.values()) for name, by_server in numbers.items()):
        own = [cell(each, unit) for each in (first, *others)]
        rows.append([titles[workload], *own, *(cell(quotients(each, first)) for each in others)])
    name, *names = next(iter(numbers.values()))
    return {"heads": [head, name, *names, *(f"{each}/{name}" for each in names)], "rows": rows}


def judged(head: str, titles: Mapping[str, str], numbers: Numbers, over: str, wanted: Mapping[str, str]) -> Table:
    """Return a table, by workload: each server's numbers, the service's ratio to `over`, and what is wanted of it."""
    rows = []
    for workload, each in numbers.items():
        cells = [cell(each[name]) if name in each else NOT_MEASURED for name in SERVERS]
        title, *ratio = figure(titles[workload], quotients(each["service"], each[over]), "", wanted[workload])
        rows.append([title, *cells, *ratio])
    return {"heads": [head, *SERVERS, f"service ÷ {over}", *FIGURES[1:]], "rows": rows}


def results(tables: Sequence[Table], remark: str) -> dict[str, Any]:
    """Return tables with a remark on how they came about, and on what they were measured."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpus": len(os.sched_getaffinity(0)),
        "libraries": {name: version(name) for name in _LIBRARIES} | {"sqlite": sqlite3.sqlite_version},
        "remark": remark,
        "tables": tables,
    }


def markdown(found: Mapping[str, Any]) -> str:
    """Return results as markdown."""
    parts = []
    for table in found["tables"]:
        lines = [table["heads"], ["---", *["--:"] * (len(table["heads"]) - 1)], *table["rows"]]
        parts.append("\n".join(f"| {' | '.join(map(_text, line))} |" for line in lines))
    versions = ", ".join(f"{name} {number}" for name, number in found["libraries"].items())
    about = f"{found['date']}, {found['cpus']} CPUs, Python {found['python']}, {versions}."
    return "\n\n".join([*parts, f"{found['remark']} {about}"])


def _text(each: str | Cell) -> str:
    if isinstance(each, str):
        return each
    size = abs(each["median"])
    digits = 0 if size >= 100 else 2 if size >= 0.1 else 4
    text = f"{each['median']:,.{digits}f}"
    if len(each["rounds"]) > 1:
        text += f" ({each['q1']:,.{digits}f}–{each['q3']:,.{digits}f})"
    return f"{text} {each['unit']}".strip()
