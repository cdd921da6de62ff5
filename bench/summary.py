"""Figures out of windows; pure."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.load import Window


def spread_of(values: Sequence[float]) -> dict[str, Any]:
    """Return the median and the quartiles of some rounds' values, and these."""
    if len(values) == 1:
        low = middle = high = values[0]
    else:
        low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "q1": low, "q3": high, "rounds": list(values)}


def percentile(values: Iterable[float], part: float) -> float:
    """Return the least of `values` that `part` of them, from 0 to 1, do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def quotients(over: Sequence[float | None], under: Sequence[float | None]) -> list[float]:
    """Return the quotients of the rounds in which both were measured."""
    pairs = zip(over, under, strict=True)
    return [a / b for a, b in pairs if a is not None and b is not None]


def figures(rounds: Sequence[Window | None]) -> dict[str, Any]:
    """Return what was measured of one server: per round, and latencies in ms of all rounds together."""
    windows = [window for window in rounds if window is not None]
    latencies = [latency * 1000 for window in windows for latency in window.latencies]
    seconds = sum(window.seconds for window in windows)
    return {
        "per_second": [window and window.per_second for window in rounds],
        "answers": len(latencies),
        "p50_ms": percentile(latencies, 0.5),
        "p99_ms": percentile(latencies, 0.99),
        "connections": windows[0].connections,
        "client_share": sum(window.client_seconds for window in windows) / seconds,
    }


def compared(measured: Mapping[str, Sequence[Window | None]], floor: float) -> dict[str, Any]:
    """Return the figures of a workload's servers, and what part of the ceiling's rate the others reach."""
    result: dict[str, Any] = {name: figures(rounds) for name, rounds in measured.items()}
    ceiling = result["ceiling"]["per_second"]
    result["ratio"] = {
        name: spread_of(quotients(result[name]["per_second"], ceiling))
        for name in measured
        if name != "ceiling"
    }
    return result | {"floor": floor, "met": result["ratio"]["service"]["median"] >= floor}


def cost(over: dict[str, Any], under: dict[str, Any], most: float) -> dict[str, Any]:
    """Return how many times the seconds per request of one workload another takes, of the service."""
    # Seconds per request are the inverse of requests per second.
    ratio = spread_of(quotients(under["service"]["per_second"], over["service"]["per_second"]))
    return {**ratio, "most": most, "met": ratio["median"] <= most}
