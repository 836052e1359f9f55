"""Which register tiles the products of matrices are fastest in, beside the ones that are used.

    python -m bench.tiles

Interleaved, medians of processor time over that of the tile that the engine takes; below 1 is
faster. The table names the processor's vectors: it holds for no other kind.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from limitpoint.engines.cpu.kernels._tiles import PROCESSOR, combine_of, dots_of
from limitpoint.engines.cpu.pack import padded, room

ROUNDS = 15
#: Seconds of processor time of one measurement.
SAMPLE = 0.02
#: Classes, inputs, examples: the peers' workload, and digits.
SHAPES = ((10, 25, 500), (10, 64, 100), (3, 500, 60))
CANDIDATES = (
    (5, 5),
    (6, 4),
    (4, 6),
    (5, 4),
    (5, 3),
    (4, 4),
    (4, 3),
    (3, 4),
    (3, 3),
    (2, 5),
    (2, 3),
)


def main() -> None:
    """Print both tables."""
    chosen, others = PROCESSOR.tile, [c for c in CANDIDATES if c != PROCESSOR.tile]
    tiles = [chosen, *others]
    for name, make, call in (("dots", dots_of, _dots), ("combine", combine_of, _combine)):
        kernels = {tile: make(*tile) for tile in tiles}
        table = Table(title=f"{name}, {64 * PROCESSOR.lanes}-bit vectors, one thread, float64")
        table.add_column("tile")
        columns = [_measured({t: call(k, *shape) for t, k in kernels.items()}) for shape in SHAPES]
        for k, d, n in SHAPES:
            table.add_column(f"k={k}, d={d}, n={n}", justify="right")
        for tile in tiles:
            mark = " (used)" if tile == chosen else ""
            ratios = [f"{column[tile] / column[chosen]:.2f}" for column in columns]
            table.add_row(f"{tile[0]} x {tile[1]}{mark}", *ratios)
        Console().print(table)


def _filled(*shape: int) -> np.ndarray:
    array = room(*shape)
    array[:] = np.random.default_rng(0).standard_normal(shape)
    return array


def _dots(kernel: Callable[..., None], k: int, d: int, n: int) -> Callable[[], None]:
    """The pullback of a multiclass model: slopes (k, n) against inputs (d, n)."""
    slopes, X, out = _filled(k, padded(n)), _filled(d, padded(n)), room(k, padded(d))
    return lambda: kernel(slopes, k, X, d, padded(n), out)


def _combine(kernel: Callable[..., None], k: int, d: int, n: int) -> Callable[[], None]:
    """Its logits: parameters (k, d) against inputs (d, n)."""
    w, X, out = _filled(k, padded(d)), _filled(d, padded(n)), room(k, padded(n))
    return lambda: kernel(w, k, 0, d, X, out)


def _measured(calls: dict[tuple[int, int], Callable[[], None]]) -> dict[tuple[int, int], float]:
    """Median seconds of a call."""
    counts = {tile: _count(call) for tile, call in calls.items()}
    spent: dict[tuple[int, int], list[float]] = {tile: [] for tile in calls}
    for _ in track(range(ROUNDS), "rounds", transient=True):
        for tile, call in calls.items():
            spent[tile].append(_seconds(call, counts[tile]) / counts[tile])
    return {tile: median(found) for tile, found in spent.items()}


def _count(call: Callable[[], None]) -> int:
    call()  # compiled
    count = 1
    while _seconds(call, count) < SAMPLE:
        count *= 2
    return count


def _seconds(call: Callable[[], None], count: int) -> float:
    started = time.process_time()
    for _ in range(count):
        call()
    return time.process_time() - started


if __name__ == "__main__":
    main()
