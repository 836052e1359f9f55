"""How near each kernel comes to what the machine can do.

    python -m bench.roofline --json reports/bench/roofline.json --figure reports/bench/roofline.png

Measured in the same run, in rounds: the flops of a loop of fused multiplications and additions in
registers, the bytes of a triad a = b + s c over arrays as large as the kernel's own data, and the
kernel. The floor of a step is the larger of flops over peak and bytes over bandwidth.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.counting import COSTS
from bench.table import WIDTH
from bench.workloads import WORKLOADS
from limitpoint import run
from limitpoint.engines.cpu.kernels import _tiles
from limitpoint.engines.cpu.pack import room

ROUNDS = 9
#: Seconds of processor time of one measurement.
SAMPLE = 0.05
#: Sums in registers: enough to fill two units of four cycles' latency, and few enough for sixteen.
CHAINS = 8


@intrinsic
def _multiply_add(typingctx: Any, count: Any) -> Any:
    """`count` rounds of `CHAINS` vectors x <- x * a + b, none of which waits for another."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        places = [_tiles._places(builder, 1, 1)[0][0] for _ in range(CHAINS)]
        a, b = _tiles._everywhere(0.5), _tiles._everywhere(1.0)
        function = cgutils.get_or_insert_function(
            builder.module,
            _tiles.ir.FunctionType(_tiles._VECTOR, [_tiles._VECTOR] * 3),
            f"llvm.fmuladd.v{_tiles.LANES}f64",
        )
        for place in places:
            builder.store(_tiles._everywhere(0.25), place)
        with cgutils.for_range(builder, args[0]):
            for place in places:
                builder.store(builder.call(function, [builder.load(place), a, b]), place)
        total = _tiles._everywhere(0.0)
        for place in places:
            total = builder.fadd(total, builder.load(place))
        return _tiles._over_lanes(builder, total, _tiles._added)

    return types.float64(types.int64), codegen


@njit(nogil=True)
def multiply_add(count):
    """The loop behind the peak."""
    return _multiply_add(count)


@njit(nogil=True, fastmath=True, error_model="numpy")
def triad(a, b, c, count):
    """A = b + s c, `count` times."""
    for _ in range(count):
        for i in range(a.shape[0]):
            a[i] = b[i] + 0.5 * c[i]


@dataclass(frozen=True)
class Line:
    """One kernel on the roofline; seconds are medians of processor time.

    Args:
        kernel: the workload.
        flops, bytes: of a step, counted.
        peak: flops a second of the machine.
        bandwidth: bytes a second from where the kernel's data are.
        seconds: of a step.
    """

    kernel: str
    flops: float
    bytes: float
    peak: float
    bandwidth: float
    seconds: float

    @property
    def floor(self) -> float:
        """The least time that a step can take."""
        return max(self.flops / self.peak, self.bytes / self.bandwidth)

    @property
    def limit(self) -> str:
        """What sets the floor."""
        return "flops" if self.flops / self.peak >= self.bytes / self.bandwidth else "bytes"

    @property
    def reached(self) -> float:
        """Floor over time."""
        return self.floor / self.seconds


def lines() -> list[Line]:
    """Measure all kernels at batch 1, in interleaved rounds."""
    kernels = {name: _kernel(name) for name in WORKLOADS}
    streams = {name: _stream(COSTS[name]().resident) for name in WORKLOADS}
    calls = {"peak": multiply_add}
    calls |= {f"kernel {name}": call for name, call in kernels.items()}
    calls |= {f"stream {name}": call for name, (call, _) in streams.items()}
    counts = {name: _count(call) for name, call in calls.items()}
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in track(range(ROUNDS), "rounds", transient=True):
        for name, call in calls.items():
            spent[name].append(_seconds(call, counts[name]) / counts[name])
    # The peaks are the machine's best, the kernels' times what is usual.
    peak = 2 * CHAINS * _tiles.LANES / min(spent["peak"])
    found = []
    for name in WORKLOADS:
        cost = COSTS[name]()
        bandwidth = streams[name][1] / min(spent[f"stream {name}"])
        seconds = median(spent[f"kernel {name}"])
        found.append(Line(name, cost.flops, cost.bytes, peak, bandwidth, seconds))
    return found


def _kernel(name: str) -> Callable[[int], object]:
    workload = WORKLOADS[name]
    problem = workload.problem(0)
    return lambda steps: run(problem, workload.rule, steps, record=[steps], engine="fused")


def _stream(size: float) -> tuple[Callable[[int], object], int]:
    """A triad over about so many bytes, and how many bytes it moves."""
    count = max(int(size) // 24 // 8 * 8, 64)
    a, b, c = (room(count) for _ in range(3))
    b[:], c[:] = 1.0, 2.0
    return (lambda times: triad(a, b, c, times)), 24 * count


def _seconds(call: Callable[[int], object], count: int) -> float:
    started = time.process_time()
    call(count)
    return time.process_time() - started


def _count(call: Callable[[int], object]) -> int:
    """How many a sample takes."""
    call(1)
    count = 1
    while (spent := _seconds(call, count)) < SAMPLE:
        count *= 2 if spent > SAMPLE / 8 else 8
    return count


def line_table(found: Sequence[Line]) -> Table:
    """A row a kernel; shares of the machine's peak instead of absolute times."""
    table = Table(title="roofline, one thread, float64", title_justify="left")
    table.add_column("kernel")
    for column in ("flops", "bytes", "flops/byte", "floor set by", "floor / time", "of peak flops"):
        table.add_column(column, justify="right")
    for line in found:
        table.add_row(
            f"{line.kernel}: {WORKLOADS[line.kernel].title}",
            f"{line.flops:,.0f}",
            f"{line.bytes:,.0f}",
            f"{line.flops / line.bytes:.2f}",
            line.limit,
            f"{line.reached:.0%}",
            f"{line.flops / line.seconds / line.peak:.0%}",
        )
    return table


def line_figure(found: Sequence[Line]) -> Figure:
    """Attained flops over arithmetic intensity, in shares of the peak, under each kernel's roof."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    intensity = np.logspace(-1.5, 1.5, 200)
    for index, line in enumerate(found):
        colour = f"C{index}"
        roof = np.minimum(1, intensity * line.bandwidth / line.peak)
        axes.loglog(intensity, roof, color=colour, linewidth=1, alpha=0.7)
        place = line.flops / line.bytes
        share = line.flops / line.seconds / line.peak
        axes.vlines(place, share, min(1, place * line.bandwidth / line.peak), color=colour, ls=":")
        label = f"{line.kernel}: {line.reached:.0%} of the roof"
        # GD and USAM are nearly in one place.
        size = 9 - 2 * (index % 2)
        axes.plot(place, share, "os^D"[index], color=colour, markersize=size, label=label)
    axes.set_xlabel("flops per byte")
    axes.set_ylabel("flops a second / peak")
    axes.set_ylim(0.01, 1.5)
    axes.grid(which="major", color="#dddddd", linewidth=0.6)
    axes.legend(frameon=False, loc="lower right")
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, and keep what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.roofline", description=__doc__)
    parser.add_argument("--json", type=Path, help="where to keep the numbers")
    parser.add_argument("--figure", type=Path, help="where to draw it")
    options = parser.parse_args(arguments)
    found = lines()
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(line_table(found))
    if options.json is not None:
        text = json.dumps([asdict(line) for line in found], indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")
    if options.figure is not None:
        line_figure(found).savefig(options.figure, dpi=160)


if __name__ == "__main__":
    main()
