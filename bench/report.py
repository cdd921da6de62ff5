"""Results: what they are made of, and as tables of markdown."""

import math
import os
import platform
import sqlite3
import statistics
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain
from typing import Any

Cell = dict[str, Any]  # some rounds' values, their median and quartiles, and a unit
Row = list[str | Cell]
Table = dict[str, Any]
Numbers = Mapping[str, Mapping[str, Sequence[float]]]  # by workload and server, a number of each round
_FIGURES = ("measured", "wanted", "")
"""The heads of what `figure` returns, behind the first."""
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


def figures(head: str, rows: Iterable[Row]) -> Table:
    """Return a table of what `figure` returns."""
    return {"heads": [head, *_FIGURES], "rows": list(rows)}


def compared(
    head: str,
    titles: Mapping[str, str],
    numbers: Numbers,
    ratios: Iterable[tuple[str, str]],
    unit: str = "",
    wanted: Mapping[str, str] | None = None,
) -> Table:
    """Return a table, by workload: each server's numbers, ratios of two servers', and what is wanted of the last."""
    servers = list(dict.fromkeys(chain(*numbers.values())))
    rows: list[Row] = []
    for workload, each in numbers.items():
        cells = [cell(each[name], unit) if name in each else NOT_MEASURED for name in servers]
        quotient = [quotients(each[over], each[under]) for over, under in ratios]
        verdict = figure("", quotient[-1], "", wanted[workload])[2:] if wanted else []
        rows.append([titles[workload], *cells, *map(cell, quotient), *verdict])
    names = [f"{over} ÷ {under}" for over, under in ratios]
    return {"heads": [head, *servers, *names, *(_FIGURES[1:] if wanted else ())], "rows": rows}


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
