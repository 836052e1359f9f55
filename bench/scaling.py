"""What handing a unit of work to a worker costs, and how many workers that cost leaves busy.

    python -m bench.scaling --json reports/bench/scaling.json --figure reports/bench/scaling.png

Overhead is what this process, where the scheduler lives, spends on an empty unit: its processor
time. It is the serial part, so N workers that take T a unit are busy for T / (N * overhead) of
their time, and never more than all of it. Costs of real units are shown as multiples of it.
Efficiency with one and two workers is measured on units that wait: what the units take over what
the workers have, which no other load of the machine changes much.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, as_completed
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from limitpoint import Setting, all_claims
from limitpoint.judgement.evaluate import evaluate
from limitpoint.sweeps import MAPS
from limitpoint.workers import Workers

KINDS: Mapping[str, str | None] = {"processes": None, "Dask": "local"}
EMPTY, LONG, WAIT = 1000, 40, 0.1
FEW, MANY = (1, 2), (10, 100, 1000)
CLAIMS, MAP, BATCHES = (
    ("usam/exact-dynamics", "multiclass/adam-max-norm"),
    "minor-first",
    (64, 1024),
)
COLORS = ("#9aa5b1", "#e69f00", "#56b4e9", "#0072b2")


@dataclass(frozen=True)
class Found:
    """What was measured.

    Args:
        overhead: processor seconds of this process for an empty unit, by kind of workers.
        few: efficiency by kind, with as many workers as `FEW` says.
        units: processor seconds of real units.
    """

    overhead: dict[str, float]
    few: dict[str, list[float]]
    units: dict[str, float]

    def busy(self, unit: str, workers: int) -> float:
        """The share of their time for which so many workers of Dask's are busy, on paper."""
        return min(1.0, self.units[unit] / self.overhead["Dask"] / workers)


def nothing(_: int) -> None:
    """An empty unit."""


def wait(_: int) -> None:
    """A unit that takes no processor."""
    time.sleep(WAIT)


def _through(executor: Executor, unit: Callable[[int], None], count: int) -> None:
    for future in as_completed(executor.submit(unit, k) for k in range(count)):
        future.result()


def _overhead(cluster: str | None) -> float:
    with Workers(2, cluster).executor() as executor:
        _through(executor, nothing, 50)
        started = time.process_time()
        _through(executor, nothing, EMPTY)
        return (time.process_time() - started) / EMPTY


def _efficiency(cluster: str | None, workers: int) -> float:
    """What units take over what workers have."""
    with Workers(workers, cluster).executor() as executor:
        _through(executor, nothing, 20)
        started = time.perf_counter()
        _through(executor, wait, LONG)
        return LONG * WAIT / workers / (time.perf_counter() - started)


def _cost(unit: Callable[[], object]) -> float:
    unit()  # compiled
    started = time.process_time()
    unit()
    return time.process_time() - started


def measured() -> Found:
    """All of it, in a minute or two."""
    units: dict[str, Callable[[], object]] = {
        f"claim {name}": partial(evaluate, all_claims()[name], (), Setting()) for name in CLAIMS
    }
    for size in BATCHES:
        axes = (np.geomspace(v[0], v[-1], size) for v in MAPS[MAP].axes.values())
        units[f"{size} settings of {MAP}"] = partial(MAPS[MAP].rows, list(zip(*axes, strict=True)))
    return Found(
        {kind: _overhead(cluster) for kind, cluster in KINDS.items()},
        {kind: [_efficiency(cluster, n) for n in FEW] for kind, cluster in KINDS.items()},
        {name: _cost(unit) for name, unit in units.items()},
    )


def table(found: Found) -> Table:
    """Units as multiples of Dask's overhead, and on paper how many workers they keep busy."""
    shown = Table(title="share of their time for which workers are busy, on paper")
    for column in ("unit", "over Dask's overhead", *(f"{n} workers" for n in MANY)):
        shown.add_column(column, justify="left" if column == "unit" else "right")
    for unit, seconds in found.units.items():
        times = f"{seconds / found.overhead['Dask']:.0f}"
        shown.add_row(unit, times, *(f"{found.busy(unit, n):.0%}" for n in MANY))
    return shown


def figure(found: Found) -> Figure:
    """Efficiency over the number of workers, for units of a hundred to 10^5 overheads."""
    canvas = Figure(figsize=(7.2, 4), layout="constrained")
    ax = canvas.subplots()
    workers = np.geomspace(1, 1e4, 200)
    for (unit, seconds), color in zip(found.units.items(), COLORS, strict=True):
        ratio = seconds / found.overhead["Dask"]
        ax.plot(workers, np.minimum(1, ratio / workers), color=color, lw=2,
                label=f"{unit}: {ratio:.0f} overheads")  # fmt: skip
    for (kind, shares), marker in zip(found.few.items(), "ox", strict=True):
        ax.plot(FEW, shares, marker, color="#1f2933", label=f"measured: {kind}")
    ax.set_xscale("log")
    ax.set_ylim(0, 1.1)
    ax.set_xlabel("workers")
    ax.set_ylabel("share of time busy")
    ax.legend(fontsize=8, loc="lower left")
    ax.spines[["top", "right"]].set_visible(False)
    return canvas


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    args = parser.parse_args()
    found = measured()
    Console().print(table(found))
    ratio = found.overhead["Dask"] / found.overhead["processes"]
    print(f"overhead of Dask over that of processes: {ratio:.1f}")
    for kind, shares in found.few.items():
        for workers, share in zip(FEW, shares, strict=True):
            print(f"efficiency, {workers} of {kind}, units that wait: {share:.2f}")
    for path in filter(None, (args.json, args.figure)):
        path.parent.mkdir(parents=True, exist_ok=True)
    if args.json:
        args.json.write_text(json.dumps(asdict(found), indent=1), encoding="utf-8")
    if args.figure:
        figure(found).savefig(args.figure, dpi=150)


if __name__ == "__main__":
    main()
