"""The command line: `python -m bench run | scale | writes`."""

import json
import sys
from collections.abc import Callable
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import click

from bench import run, scale, writes
from bench.load_generator import BadAnswer
from bench.report import markdown
from bench.servers import ROOT


def _option(field: "Field[Any]") -> click.Option:
    """Return the option for a field of a plan."""
    name, default = f"--{field.name.replace('_', '-')}", field.default
    about = {"help": field.metadata.get("help"), "show_default": True}
    if default is None:
        return click.Option([name], type=click.Path(exists=True, path_type=Path, resolve_path=True), **about)
    if not isinstance(default, tuple):
        return click.Option([name], default=default, **about)

    def split(context: click.Context, option: click.Parameter, text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        if unknown := set(names) - set(default):
            raise click.BadParameter(f"{', '.join(sorted(unknown))}: known are {', '.join(default)}.")
        return names

    return click.Option([name], default=",".join(default), callback=split, **about)


def _command(plan: Any, measure: Callable[[Any, Path], dict[str, Any]]) -> click.Command:
    """Return a command that measures, with an option for each field of its plan, a class."""
    name = measure.__name__

    def go(output: Path, **given: Any) -> None:
        results = measure(plan(**given), ROOT / ".bench")
        output.write_text(json.dumps(results, indent=1) + "\n")
        click.echo(f"{markdown(results)}\n\nResults: {output}")

    file = ROOT / "bench" / "results" / f"{name}.json"
    output = click.Option(["--output"], type=click.Path(path_type=Path), default=file, show_default=True)
    return click.Command(
        name, callback=go, params=[*map(_option, fields(plan)), output], help=measure.__doc__
    )


cli = click.Group(
    "bench",
    commands=[
        _command(run.Plan, run.run),
        _command(scale.Plan, scale.scale),
        _command(writes.Plan, writes.writes),
    ],
    help="Measure the service. Ratios of what was measured in turns hold on other machines too, absolute figures do "
    "not. Nothing else should be busy meanwhile.",
)

if __name__ == "__main__":  # the load generator's process imports this module too
    try:
        cli()
    except (RuntimeError, BadAnswer) as error:
        sys.exit(f"Error: {error}")
