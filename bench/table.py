"""The ratio table of a run of `test_peers`, on the terminal and as a figure.

python -m bench.table reports/bench/peers.json --figure reports/bench/peers.png
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from bench.peers import FUSED, PEERS
from bench.workloads import WORKLOADS

#: What the fused engine is meant to reach, as (workload or "", batch, peer): times as fast.
BARS: Mapping[tuple[str, int, str], float] = {
    ("", 1, "jax jit"): 1.0,
    ("", 32, "jax jit"): 2.0,
    ("", 256, "jax jit"): 2.0,
    ("", 1, "torch eager"): 30.0,
    ("1-SAM", 1, "autograd loop"): 1000.0,
}
#: Columns that the table needs where a terminal does not say.
WIDTH = 112
OTHERS = tuple(peer for peer in PEERS if peer != FUSED)
COLOURS = dict(zip(OTHERS, ("#8c510a", "#d6604d", "#7b3294", "#2166ac"), strict=True))
MARKS = dict(zip(OTHERS, ("s", "o", "D", "^"), strict=True))
Case = tuple[str, int]


def seconds(benchmarks: Sequence[Mapping[str, Any]]) -> dict[Case, dict[str, dict[int, float]]]:
    """Seconds a step, by case, peer and round, of pytest-benchmark's records."""
    found: dict[Case, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for record in benchmarks:
        info = record["extra_info"]
        case = (info["workload"], info["batch"])
        found[case][info["peer"]][info["turn"]] = record["stats"]["median"] / info["steps"]
    return found


def ratios(
    benchmarks: Sequence[Mapping[str, Any]],
) -> dict[Case, dict[str, tuple[float, float, float]]]:
    """How many times as fast as a peer the fused engine is: median over rounds, and quartiles.

    The ratio is taken within each round, in which both see the same machine.
    """
    found = {}
    for case, peers in seconds(benchmarks).items():
        own = peers.get(FUSED, {})
        found[case] = {
            peer: _quartiles([spent / own[turn] for turn, spent in turns.items() if turn in own])
            for peer, turns in peers.items()
            if peer != FUSED and own
        }
    return found


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    ordered, count = sorted(values), len(values)
    return median(ordered), ordered[count // 4], ordered[-1 - count // 4]


def bar(case: Case, peer: str) -> float | None:
    """What is meant to be reached, if anything."""
    name, batch = case
    return BARS.get((name, batch, peer), BARS.get(("", batch, peer)))


def ratio_table(
    found: Mapping[Case, Mapping[str, tuple[float, float, float]]], clock: str
) -> Table:
    """Rows: workload and batch. Columns: peers; green and red say whether a bar is reached."""
    table = Table(
        title=f"times as fast as each peer: the fused engine, {clock}, median of the rounds",
        title_justify="left",
        caption="green: the bar is reached; red: it is not, and the bar follows",
        caption_justify="left",
    )
    for column in ("rule", "problem"):
        table.add_column(column)
    for column in ("batch", *OTHERS):
        table.add_column(column, justify="right")
    for case, peers in found.items():
        cells = [_cell(case, peer, peers.get(peer)) for peer in OTHERS]
        table.add_row(case[0], WORKLOADS[case[0]].title, str(case[1]), *cells)
    return table


def _cell(case: Case, peer: str, ratio: tuple[float, float, float] | None) -> str:
    if ratio is None:
        return "-"
    shown, wanted = number(ratio[0]), bar(case, peer)
    if wanted is None:
        return shown
    return f"[green]{shown}[/]" if ratio[0] >= wanted else f"[red]{shown} < {wanted:g}[/]"


def number(value: float) -> str:
    """Two figures below ten, whole numbers above."""
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def ratio_figure(
    found: Mapping[Case, Mapping[str, tuple[float, float, float]]], clock: str
) -> Figure:
    """One row a workload and batch, one mark a peer; lines are quartiles, short bars the aims."""
    figure = Figure(figsize=(8, 0.42 * len(found) + 1.5), layout="constrained")
    axes = figure.subplots()
    cases = list(found)
    for peer in OTHERS:
        rows = [(y, found[case][peer]) for y, case in enumerate(cases) if peer in found[case]]
        if not rows:
            continue
        places, values = zip(*rows, strict=True)
        middle, low, high = (list(part) for part in zip(*values, strict=True))
        axes.hlines(places, low, high, color=COLOURS[peer], linewidth=1.2)
        axes.plot(middle, places, MARKS[peer], color=COLOURS[peer], label=peer, markersize=6)
    for y, case in enumerate(cases):
        for peer in OTHERS:
            if (wanted := bar(case, peer)) is not None:
                axes.vlines(wanted, y - 0.3, y + 0.3, color=COLOURS[peer], linewidth=2.5, alpha=0.4)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}x")
    axes.set_yticks(range(len(cases)), [f"{name}, batch {batch}" for name, batch in cases])
    axes.set_ylim(len(cases) - 0.5, -0.5)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"peer's {clock} a step / fused engine's (tick of the same colour: the bar)")
    figure.legend(loc="outside upper center", ncols=len(OTHERS), frameon=False)
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table of a JSON, and draw it where asked to."""
    parser = argparse.ArgumentParser(prog="python -m bench.table", description=__doc__)
    parser.add_argument("json", type=Path, help="what --benchmark-json wrote")
    parser.add_argument("--figure", type=Path, help="where to draw it: .png, .svg or .pdf")
    options = parser.parse_args(arguments)
    if not options.json.exists():
        parser.error(f"no such file: {options.json}")
    benchmarks = json.loads(options.json.read_text(encoding="utf-8"))["benchmarks"]
    timer = {record["options"]["timer"] for record in benchmarks}
    clock = "processor time" if timer == {"process_time"} else "time"
    found = ratios(benchmarks)
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(ratio_table(found, clock))
    if options.figure is not None:
        ratio_figure(found, clock).savefig(options.figure, dpi=160)
        print(f"figure: {options.figure}")


if __name__ == "__main__":
    main()
