"""How the cost of a run grows, with measured exponents.

    python -m bench.growth --json reports/bench/growth.json --figure reports/bench/growth.png

Each panel doubles one thing and leaves the rest: steps and problems of 1-SAM, examples, inputs and
classes of Adam on cross-entropy. The exponent is the slope over the larger half, where what a step
costs regardless of its size is a small part.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.workloads import ADAM, WORKLOADS, diagonal, multiclass
from limitpoint import Problem, run
from limitpoint.optimizers import Rule
from limitpoint.problems.problem import stack

ROUNDS = 5
Call = Callable[[], object]


def _runs(problem: Problem, rule: Rule, steps: int) -> Call:
    return lambda: run(problem, rule, steps, record=[steps], engine="fused")


def _one_sam(problems: int, steps: int) -> Call:
    batch = stack([diagonal(seed) for seed in range(problems)])
    return _runs(batch, WORKLOADS["1-SAM"].rule, steps)


def _adam(**sizes: int) -> Call:
    sizes = {"n": 1280, "k": 10, "d": 32} | sizes
    return _runs(multiclass(0, **sizes), ADAM, 400)


#: By name: the sizes, and a run of each.
SWEEPS: Mapping[str, tuple[Sequence[int], Callable[[int], Call]]] = {
    "steps": ([2**i * 10_000 for i in range(6)], lambda size: _one_sam(1, size)),
    "problems": ([2**i for i in range(2, 9)], lambda size: _one_sam(size, 1000)),
    "n": ([640 * 2**i for i in range(6)], lambda size: _adam(n=size)),
    "d": ([16 * 2**i for i in range(6)], lambda size: _adam(d=size)),
    "k": ([5, 10, 20, 40, 80], lambda size: _adam(k=size, d=128)),
}


def measure() -> dict[str, list[tuple[int, float]]]:
    """Seconds of processor time by sweep and size, medians of interleaved rounds."""
    calls = {(name, size): make(size) for name, (sizes, make) in SWEEPS.items() for size in sizes}
    for call in calls.values():
        call()
    spent: dict[Any, list[float]] = {key: [] for key in calls}
    for _ in track(range(ROUNDS), "rounds", transient=True):
        for key, call in calls.items():
            started = time.process_time()
            call()
            spent[key].append(time.process_time() - started)
    return {
        name: [(size, median(spent[name, size])) for size in sizes]
        for name, (sizes, _) in SWEEPS.items()
    }


def exponent(points: Sequence[tuple[int, float]]) -> float:
    """Slope of log time over log size, of the larger half."""
    upper = np.log(np.array(points[-(len(points) // 2 + 1) :]))
    return float(np.polyfit(upper[:, 0], upper[:, 1], 1)[0])


def growth_figure(found: Mapping[str, Sequence[tuple[int, float]]]) -> Figure:
    """A panel a sweep: time over that of the smallest size, and the line of the exponent."""
    figure = Figure(figsize=(2.5 * len(found), 2.8), layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True)
    for axes, (name, points) in zip(panels, found.items(), strict=True):
        sizes, times = (np.array(part, dtype=float) for part in zip(*points, strict=True))
        slope = exponent(points)
        axes.loglog(sizes, times / times[0], "o", color="#2166ac", markersize=4)
        line = times[-1] / times[0] * (sizes / sizes[-1]) ** slope
        axes.loglog(sizes, line, color="#2166ac", linewidth=1, alpha=0.6)
        axes.set_title(f"{name}: exponent {slope:.2f}", fontsize=10)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xticks([sizes[0], sizes[-1]], [f"{sizes[0]:,.0f}", f"{sizes[-1]:,.0f}"])
        axes.set_xlabel(name)
        axes.grid(color="#dddddd", linewidth=0.6)
    panels[0].set_ylabel("time / that of the smallest")
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the exponents, and keep what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--json", type=Path, help="where to keep the numbers")
    parser.add_argument("--figure", type=Path, help="where to draw it")
    options = parser.parse_args(arguments)
    found = measure()
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if options.figure is not None:
        growth_figure(found).savefig(options.figure, dpi=160)
    table = Table(title="how the cost of a run grows", title_justify="left")
    for column in ("in", "from", "to", "exponent"):
        table.add_column(column, justify="left" if column == "in" else "right")
    for name, points in found.items():
        first, last = points[0][0], points[-1][0]
        table.add_row(name, f"{first:,}", f"{last:,}", f"{exponent(points):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
