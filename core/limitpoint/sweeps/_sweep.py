"""Measuring what is missing of a map."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, as_completed

from limitpoint.sweeps._grid import Grid, Point
from limitpoint.sweeps._registry import MAPS, Row
from limitpoint.sweeps._rows import Rows
from limitpoint.sweeps._workers import Workers

#: So often is a pool made anew whose process was killed before the sweep gives up.
LIVES = 3
Watch = Callable[[int, int], None]


def measure(name: str, batch: list[Point]) -> list[Row]:
    """Rows of a batch of a map: what a worker does."""
    return MAPS[name].rows(batch)


def sweep(
    rows: Rows,
    grid: Grid,
    workers: Workers | None = None,
    *,
    batch: int = 64,
    watch: Watch = lambda done, planned: None,
) -> None:
    """Measure the points of a grid that have no rows yet.

    Rows are kept as they arrive, in the order in which batches end. A worker that dies loses its
    batch, which is then measured by another.

    Args:
        rows: where they go, and what is there already.
        grid: every combination of settings.
        workers: this process by default.
        batch: points in one run, >= 1.
        watch: called with how many points were measured, and how many were missing.

    Raises:
        BrokenExecutor: a pool lost a process `LIVES` times.
    """
    for life in range(LIVES):
        try:
            _pass(rows, grid, workers or Workers(), batch, watch)
        except BrokenExecutor:
            if life == LIVES - 1:
                raise
        else:
            return


def _pass(rows: Rows, grid: Grid, workers: Workers, batch: int, watch: Watch) -> None:
    missing = rows.missing(grid)
    parts = [missing[start : start + batch] for start in range(0, len(missing), batch)]
    if not parts:
        return
    measured = 0
    with workers.executor() as executor:
        # Not kept in a list: each would hold its rows to the end.
        for future in as_completed(executor.submit(measure, rows.map.name, part) for part in parts):
            measured += rows.add(future.result())
            watch(measured, len(missing))
