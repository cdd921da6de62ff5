"""Results as tables of the terminal or of markdown."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table


class Figures(NamedTuple):
    """A table."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


def show(results: dict[str, Any], console: Console) -> None:
    """Print tables and remarks."""
    for figures in tables(results):
        table = Table(*figures.heads)
        for row in figures.rows:
            table.add_row(*row)
        console.print(table)
    for remark in remarks(results):
        console.print(remark)


def markdown(results: dict[str, Any]) -> str:
    """Return tables and remarks as markdown."""
    parts = []
    for heads, rows in tables(results):
        lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *rows]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join([*parts, *remarks(results)])


def tables(results: dict[str, Any]) -> Iterator[Figures]:
    """Yield the tables of either kind of results."""
    if results["kind"] == "store":
        yield from (_stored(kind, each) for kind, each in results["databases"].items())
        return
    if results["kind"] == "scale":
        yield from (_sizes(kind, each) for kind, each in results["databases"].items())
        return
    heads = (
        "requests/s",
        "ceiling",
        "service",
        "service/ceiling",
        "floor",
        "",
        "idiomatic/ceiling",
        "p50 ms",
        "p99 ms",
    )
    yield Figures(heads, [_workload(name, each) for name, each in results["workloads"].items()])
    if results["costs"]:
        rows = [
            (name, _spread(each), f"{each['most']:.1f}", _verdict(each))
            for name, each in results["costs"].items()
        ]
        yield Figures(("cost of a request", "times", "at most", ""), rows)


def remarks(results: dict[str, Any]) -> Iterator[str]:
    """Yield sentences on how it was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in results["libraries"].items())
    if results["kind"] == "store":
        yield f"{results['date']}, {results['cpus']} CPUs, Python {results['python']}, {versions}."
        return
    yield (
        f"Medians of {results['plan']['rounds']} rounds, quartiles in brackets. {results['date']}, "
        f"{results['cpus']} CPUs, Python {results['python']}, {versions}."
    )
    if results["kind"] == "run":
        most = {
            server: max(each[server]["client_share"] for each in results["workloads"].values())
            for server in ("ceiling", "service")
        }
        yield (
            f"The load generator took up to {most['ceiling']:.0%} of a CPU against the ceiling, up to "
            f"{most['service']:.0%} against the service."
        )
    else:
        for kind, each in results["databases"].items():
            yield f"A bare server beside it, {kind}: {_spread(each['bare_ms'])} ms."


def _workload(name: str, each: dict[str, Any]) -> Sequence[str]:
    return (
        f"{name} {each['title']}",
        _rate(each["ceiling"]),
        _rate(each["service"]),
        _spread(each["ratio"]["service"]),
        f"{each['floor']:.2f}",
        _verdict(each),
        _spread(each["ratio"]["idiomatic"]),
        f"{each['service']['p50_ms']:.1f}",
        f"{each['service']['p99_ms']:.1f}",
    )


def _sizes(kind: str, each: dict[str, Any]) -> Figures:
    """Return latencies at the smallest size, and how many times these at each other."""
    smallest, *others = (str(size) for size in each["sizes"])
    rows = [
        (
            f"{name} {workload['title']}",
            f"{workload['ms'][smallest]['median']:.2f} ms",
            *(_spread(workload["ratio"][size]) for size in others),
        )
        for name, workload in each["workloads"].items()
    ]
    return Figures((kind, *(f"{size:,} items" for size in each["sizes"])), rows)


def _stored(kind: str, figures: Sequence[dict[str, Any]]) -> Figures:
    rows = []
    for each in figures:
        wanted = f"≤ {each['most']:g}" if each["most"] is not None else ""
        wanted += f"≥ {each['least']:g}" if each["least"] is not None else ""
        value = f"{each['value']:,.0f}" if each["value"] >= 100 else f"{each['value']:.2f}"
        rows.append(
            (each["name"], f"{value} {each['unit']}", wanted, "" if each["met"] is None else _verdict(each))
        )
    return Figures((kind, "measured", "wanted", ""), rows)


def _rate(server: dict[str, Any]) -> str:
    middle = median(rate for rate in server["per_second"] if rate is not None)
    return f"{middle:,.0f}" if middle >= 10 else f"{middle:.1f}"


def _spread(each: dict[str, Any]) -> str:
    digits = 2 if each["median"] >= 0.1 else 4
    return f"{each['median']:.{digits}f} ({each['q1']:.{digits}f}–{each['q3']:.{digits}f})"


def _verdict(each: dict[str, Any]) -> str:
    return "met" if each["met"] else "NOT met"
