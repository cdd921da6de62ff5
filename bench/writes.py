"""What it costs to store: recording, loading, exporting, purging, disk and memory, beside what they are measured by."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench import running_costs, write_costs
from bench.report import FIGURES, Row, results
from bench.servers import Bench
from bench.write_costs import Plan

STEPS: Mapping[str, Callable[[Plan, Bench], Iterator[Row]]] = {
    "load": write_costs.load,
    "record": write_costs.record,
    "disk": write_costs.disk,
    "purge": running_costs.purge,
    "memory": running_costs.memory,
}


def writes(plan: Plan, cache: Path) -> dict[str, Any]:
    """Measure recording, loading, exporting, purging, disk and memory, each beside what it is measured by.

    Databases and files lie in `cache`, so on its disk. Raises RuntimeError where a command fails.
    """
    tables = []
    for kind in plan.databases:
        rows: list[Row] = []
        for name in plan.only:
            with Bench(kind, cache) as bench:
                rows += STEPS[name](plan, bench)
        tables.append({"heads": [kind, *FIGURES], "rows": rows})
    return results(tables, "Medians, of several rounds with quartiles in brackets.")
