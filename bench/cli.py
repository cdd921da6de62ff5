"""The command line: `python -m bench run | scale | store | table`."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from bench import picture, report
from bench import scale as scaling
from bench import store as storing
from bench.load import BadAnswer
from bench.run import Plan
from bench.run import run as measure_run
from bench.workloads import TITLES

Command = TypeVar("Command", bound=Callable[..., object])

_HERE = Path(__file__).parent
_FILE_WIDTH = 140
_CACHE = click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    default=_HERE.parent / ".bench",
    show_default=".bench in the checkout",
    help="Where data sets are kept between runs.",
)


def _output(name: str) -> Callable[[Command], Command]:
    return click.option(
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        default=_HERE / "results" / f"{name}.json",
        show_default=f"bench/results/{name}.json",
        help="Where the results go; the picture goes beside them, as .svg.",
    )


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Measure the service: beside other servers, and against the size of the history.

    Figures are ratios of what was measured in turns on the same machine, so they travel; requests per second
    do not. Nothing else should be busy meanwhile.
    """


def main() -> None:
    """Run the command line; a server that does not do what it should is an error with a message."""
    try:
        cli()
    except (RuntimeError, BadAnswer) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)


def _names(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, ...]:
    names = tuple(text.split(",")) if text else tuple(TITLES)
    if unknown := set(names) - set(TITLES):
        raise click.BadParameter(f"{', '.join(sorted(unknown))}: known are {', '.join(TITLES)}.")
    return names


@cli.command("run")
@click.option(
    "--rounds", type=click.IntRange(1), default=9, show_default=True, help="How often all is measured."
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="How long each server is measured in a round.",
)
@click.option("--only", callback=_names, metavar="W1,W3", help="Some of the workloads.")
@click.option("--runs", type=click.IntRange(1), default=100_000, show_default=True, help="Notification runs.")
@click.option(
    "--database-url", "url", help="An empty database for the service; if not given, an SQLite file."
)
@_output("latest")
@_CACHE
def run(
    rounds: int, seconds: float, only: tuple[str, ...], runs: int, url: str | None, output: Path, cache: Path
) -> None:
    """Compare the service with a bare server and with a plain application, in about ten minutes.

    Example: python -m bench run --rounds 3 --only W3,W4
    """
    results = measure_run(Plan(rounds, seconds, runs, only=only, url=url), cache)
    _finish(results, output)


@cli.command("scale")
@click.option(
    "--largest", type=click.IntRange(100), default=1_000_000, show_default=True, help="Items at most."
)
@click.option(
    "--smallest", type=click.IntRange(100), default=10_000, show_default=True, help="Items at least."
)
@click.option(
    "--runs",
    "most_runs",
    type=click.IntRange(1),
    default=scaling.MOST_RUNS,
    show_default=True,
    help="Runs at most; otherwise as many as items.",
)
@click.option(
    "--database", type=click.Choice(["sqlite", "postgres", "both"]), default="sqlite", show_default=True
)
@click.option("--item-bytes", type=click.IntRange(200, 100_000), default=300, show_default=True)
@click.option(
    "--rounds", type=click.IntRange(1), default=15, show_default=True, help="How often all is measured."
)
@_output("scale")
@_CACHE
def scale(
    largest: int,
    smallest: int,
    most_runs: int,
    database: str,
    item_bytes: int,
    rounds: int,
    output: Path,
    cache: Path,
) -> None:
    """Compare the cost of the same requests at 10,000 items, ten times that, and so on up to the largest.

    Each size has a database of its own. Those of the cache are used again for some days.

    Example: python -m bench scale --largest 10000000 --database both
    """
    if largest < smallest:
        raise click.BadParameter("It must not be less than --smallest.", param_hint="--largest")
    plan = scaling.Plan(largest, smallest, item_bytes, most_runs, rounds)
    _finish(scaling.scale(plan, _kinds(database), cache), output)


@cli.command("store")
@click.option(
    "--items", type=click.IntRange(100), default=50_000, show_default=True, help="Items to load and export."
)
@click.option(
    "--purged", type=click.IntRange(100), default=1_000_000, show_default=True, help="Items to purge."
)
@click.option(
    "--requests",
    type=click.IntRange(1000),
    default=100_000,
    show_default=True,
    help="Requests to a worker whose memory is looked at.",
)
@click.option(
    "--database", type=click.Choice(["sqlite", "postgres", "both"]), default="both", show_default=True
)
@click.option(
    "--only", type=click.Choice(list(storing.STEPS)), multiple=True, help="Some of it; may be repeated."
)
@_output("store")
@_CACHE
def store(
    items: int, purged: int, requests: int, database: str, only: tuple[str, ...], output: Path, cache: Path
) -> None:
    """Measure recording, loading, exporting, purging, disk and memory, each beside what it is measured by.

    Example: python -m bench store --database sqlite --only load
    """
    plan = storing.Plan(items=items, purged=purged, requests=requests)
    _finish(storing.store(plan, _kinds(database), cache, only or tuple(storing.STEPS)), output)


@cli.command("table")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def table(file: Path) -> None:
    """Print the results of FILE as a table of markdown."""
    click.echo(report.markdown(json.loads(file.read_text())))


def _kinds(database: str) -> tuple[str, ...]:
    return ("sqlite", "postgres") if database == "both" else (database,)


def _finish(results: dict[str, Any], output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=1) + "\n")
    report.show(results, Console(width=None if sys.stdout.isatty() else _FILE_WIDTH))
    drawing = output.with_suffix(".svg")
    if results["kind"] == "store":  # figures of many kinds, which no picture makes clearer
        click.echo(f"Results: {output}")
        return
    drawn = picture.draw(results, drawing)
    click.echo(f"Results: {output}, {drawing if drawn else 'and no picture: matplotlib is not installed'}")
