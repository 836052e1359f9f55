"""How the cost of a run grows: measured exponents of processor time, and peak memory.

    python -m bench.growth --json reports/bench/growth.json --figure reports/bench/growth.png

Each panel multiplies one thing and leaves the rest: steps of 1-SAM, on all examples and on one that
is drawn; records of every step, which are mapped into a file; problems that share their data;
examples, inputs and classes of Adam on cross-entropy, and examples and inputs of GD on a logistic
loss. The exponent is the slope over the larger half, where what a step costs regardless of its size
is a small part. Memory is what a run holds at its peak beside its data; each size has a process of
its own.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.workloads import ADAM, WORKLOADS, binary, diagonal, multiclass
from limitpoint import Problem, optimizers, run
from limitpoint.optimizers import Rule, Stochastic

ROUNDS = 3
ROOT = Path(__file__).resolve().parent.parent
Call = Callable[[], object]


class Point(NamedTuple):
    """What a run of one size costs: seconds of processor time, and bytes at its peak."""

    size: int
    seconds: float
    bytes: float


def _runs(problem: Problem, rule: Rule, steps: int, **options: Any) -> Call:
    return lambda: run(problem, rule, steps, engine="fused", **({"record": [steps]} | options))


def _one_sam(steps: int) -> Call:
    return _runs(diagonal(0), WORKLOADS["1-SAM"].rule, steps)


def _draws(steps: int) -> Call:
    return _runs(diagonal(0), Stochastic(WORKLOADS["1-SAM"].rule, seed=0), steps)


def _problems(count: int) -> Call:
    """Each with a step size of its own, all with the same data."""
    problem = diagonal(0)
    eta = torch.linspace(0.001, 0.01, count, dtype=torch.float64).reshape(-1, 1, 1)
    start = problem.start.expand(count, *problem.start.shape)
    return _runs(problem, optimizers.GD(eta), 20, start=start, store=_folder())


def _records(steps: int) -> Call:
    rule = WORKLOADS["1-SAM"].rule
    return _runs(diagonal(0), rule, steps, record=range(steps + 1), store=_folder())


def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="limitpoint-growth-"))


def _adam(steps: int, **sizes: int) -> Call:
    return _runs(multiclass(0, **({"n": 1280, "k": 10, "d": 32} | sizes)), ADAM, steps)


def _gd(n: int, d: int) -> Call:
    return _runs(binary(0, n, d), WORKLOADS["GD"].rule, 40)


#: By name: the sizes, and a run of each.
SWEEPS: Mapping[str, tuple[Sequence[int], Callable[[int], Call]]] = {
    "steps": ([10_000, 32_000, 100_000, 320_000, 1_000_000], _one_sam),
    "draws": ([10_000, 32_000, 100_000, 320_000, 1_000_000], _draws),
    "problems": ([100, 1000, 10_000, 100_000, 1_000_000], _problems),
    "records": ([10_000, 32_000, 100_000, 320_000, 1_000_000], _records),
    "Adam, n": ([1000, 3200, 10_000, 32_000, 100_000], lambda n: _adam(20, n=n)),
    "Adam, d": ([1000, 3200, 10_000, 32_000, 100_000], lambda d: _adam(20, n=100, d=d)),
    "Adam, k": ([5, 10, 20, 40, 80], lambda k: _adam(200, k=k, d=128)),
    "GD, n": ([1000, 3200, 10_000, 32_000, 100_000], lambda n: _gd(n, 100)),
    "GD, d": ([1000, 3200, 10_000, 32_000, 100_000], lambda d: _gd(100, d)),
}


def measure(names: Sequence[str]) -> dict[str, list[Point]]:
    """All sizes of the sweeps, each in a process of its own."""
    cases = [(name, size) for name in names for size in SWEEPS[name][0]]
    found: dict[str, list[Point]] = {name: [] for name in names}
    for name, size in track(cases, "measuring", console=Console(stderr=True), transient=True):
        command = [sys.executable, "-m", "bench.growth", "--one", name, str(size)]
        shown = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        found[name].append(Point(*json.loads(shown.stdout)))
    return found


def one(name: str, size: int) -> Point:
    """A run of one size: the median of some, and its peak."""
    sizes, make = SWEEPS[name]
    make(sizes[0])()  # compiled and loaded
    call = make(size)
    before, spent = _memory("VmRSS", reset=True), []
    for _ in range(ROUNDS):
        started = time.process_time()
        call()
        spent.append(time.process_time() - started)
    return Point(size, median(spent), max(_memory("VmHWM") - before, 0.0))


def _memory(name: str, *, reset: bool = False) -> float:
    """Bytes that the kernel says of this process; `reset` begins a new peak. NaN elsewhere."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    found = re.search(rf"{name}:\s+(\d+) kB", status.read_text())
    return float("nan") if found is None else 1024.0 * int(found[1])


def exponent(points: Sequence[tuple[float, ...]], column: int = 1) -> float:
    """Slope of log time (or another column) over log size, of the larger half."""
    upper = np.log(np.array(points[-(len(points) // 2 + 1) :], dtype=float))
    return float(np.polyfit(upper[:, 0], upper[:, column], 1)[0])


def growth_figure(found: Mapping[str, Sequence[Point]]) -> Figure:
    """A panel a sweep: time over that of the smallest size, and the line of the exponent."""
    figure = Figure(figsize=(2.5 * len(found), 2.8), layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True)
    for axes, (name, points) in zip(panels, found.items(), strict=True):
        sizes, times, _ = (np.array(part, dtype=float) for part in zip(*points, strict=True))
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
    parser.add_argument("-k", action="append", choices=SWEEPS, dest="names", help="some of them")
    parser.add_argument("--one", nargs=2, metavar=("NAME", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one is not None:
        print(json.dumps(one(options.one[0], int(options.one[1]))))
        return
    found = measure(options.names or list(SWEEPS))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if options.figure is not None:
        growth_figure(found).savefig(options.figure, dpi=160)
    Console().print(growth_table(found))


def growth_table(found: Mapping[str, Sequence[Point]]) -> Table:
    """A row a sweep."""
    table = Table(title="how the cost of a run grows", title_justify="left")
    table.add_column("in")
    for column in ("from", "to", "exponent of time", "peak, MB: from", "to"):
        table.add_column(column, justify="right")
    for name, points in found.items():
        first, last = points[0], points[-1]
        sizes = [f"{point.size:,}" for point in (first, last)]
        peaks = [f"{point.bytes / 1e6:,.0f}" for point in (first, last)]
        table.add_row(name, *sizes, f"{exponent(points):.2f}", *peaks)
    return table


if __name__ == "__main__":
    main()
