"""The command line: `python -m bench run | scale | writes | pages | testing`."""

import json
import sys
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import click

from bench import pages, run, scale, testing, writes
from bench.load_generator import BadAnswer
from bench.report import markdown
from bench.servers import ROOT

_CACHE = ROOT / ".bench"


def _option(field: "Field[Any]") -> click.Option:
    """Return the option for a field of a plan."""
    name, about = f"--{field.name.replace('_', '-')}", field.metadata.get("help")
    kind = None if field.default is not None else click.Path(exists=True, path_type=Path, resolve_path=True)
    return click.Option([name], default=field.default, type=kind, show_default=True, help=about)


def _command(module: Any) -> click.Command:
    """Return a command that calls the function of a module that is named as it is.

    It has an option for each field of the module's Plan.
    """
    name = module.__name__.rpartition(".")[2]
    measure = getattr(module, name)

    def go(output: Path, **given: Any) -> None:
        results = measure(module.Plan(**given), _CACHE)
        output.write_text(json.dumps(results, indent=1) + "\n")
        click.echo(f"{markdown(results)}\n\nResults: {output}")

    output = click.Option(["--output"], type=click.Path(path_type=Path), default=_CACHE / f"{name}.json")
    options: list[click.Parameter] = [*map(_option, fields(module.Plan)), output]
    return click.Command(name, callback=go, params=options, help=measure.__doc__)


cli = click.Group(
    commands=list(map(_command, (run, scale, writes, pages, testing))),
    help="Measure the service. Ratios hold on other machines too; nothing else should be busy meanwhile.",
)

if __name__ == "__main__":  # the load generator's process imports this module too
    try:
        cli()
    except KeyError as error:
        sys.exit(f"Error: there is no {error}")
    except (RuntimeError, BadAnswer) as error:
        sys.exit(f"Error: {error}")
