"""Results as a picture."""

from pathlib import Path
from typing import Any


def draw(results: dict[str, Any], path: Path) -> bool:
    """Write a picture; return whether it could be drawn: matplotlib is in the extra `bench` only."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")  # no window
    matplotlib.rcParams["svg.hashsalt"] = "notifhist"  # the same results make the same file
    from matplotlib.figure import Figure

    if results["kind"] == "run":
        figure = Figure(figsize=(9, 6), layout="constrained")
        _bars(figure.subplots(), results)
    else:
        databases = results["databases"]
        figure = Figure(figsize=(4 + 4 * len(databases), 7), layout="constrained")
        all_axes = figure.subplots(1, len(databases), sharey=True, squeeze=False)[0]
        highest = max(_lines(axes, *each) for axes, each in zip(all_axes, databases.items(), strict=True))
        all_axes[0].set_ylim(0, highest * 1.1)  # of all, since they share it
        all_axes[0].set_ylabel("median latency, in times of that at the smallest size")
        figure.legend(*all_axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.savefig(path, metadata={"Date": None})
    return True


def _bars(axes: Any, results: dict[str, Any]) -> None:
    """Draw a bar for the service's part of the ceiling, one for the idiomatic application's, a tick for the floor."""
    workloads = results["workloads"]
    for n, each in enumerate(workloads.values()):
        for name, color, at in (("service", "tab:blue", n - 0.2), ("idiomatic", "tab:gray", n + 0.2)):
            ratio = each["ratio"][name]
            error = [[ratio["median"] - ratio["q1"]], [ratio["q3"] - ratio["median"]]]
            label = f"{name}, with quartiles" if n == 0 else None
            axes.barh(at, ratio["median"], 0.36, xerr=error, color=color, label=label)
        label = "floor asked for" if n == 0 else None
        axes.plot([each["floor"]] * 2, [n - 0.45, n + 0.05], color="tab:red", linewidth=2, label=label)
    axes.set_yticks(range(len(workloads)), [f"{name}  {each['title']}" for name, each in workloads.items()])
    axes.invert_yaxis()
    axes.set_xlabel("requests per second, as part of a bare server's (1.0) with the same answers")
    axes.legend(loc="lower right")


def _lines(axes: Any, kind: str, each: dict[str, Any]) -> float:
    """Draw a line for each workload: its latency at each size, in times of that at the smallest.

    Returns the highest.
    """
    highest = 1.0
    for number, (name, workload) in enumerate(each["workloads"].items()):
        ratios = [workload["ratio"][str(size)]["median"] for size in each["sizes"]]
        highest = max(highest, *ratios)
        marker = "o^sd"[number // 3]
        axes.plot(each["sizes"], ratios, marker=marker, label=f"{name}  {workload['title']}")
    axes.set_xscale("log")
    axes.set_title(kind)
    axes.set_xlabel("items in the history")
    return highest
