"""Measuring what is missing of a map."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd

from limitpoint.sweeps._grid import Grid, Point
from limitpoint.sweeps._map import Map
from limitpoint.sweeps._rows import Rows
from limitpoint.workers import Workers, work

Watch = Callable[[int, int], None]


def measure(of: Map, batch: list[Point]) -> pd.DataFrame:
    """Rows of a batch of a map: what a worker does."""
    return of.rows(batch)


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
        UsageError: workers died again and again.
    """
    planned = measured = 0

    def missing() -> list[list[Point]]:
        nonlocal planned, measured
        points = rows.missing(grid)
        planned, measured = len(points), 0
        return [points[start : start + batch] for start in range(0, len(points), batch)]

    def keep(found: pd.DataFrame) -> None:
        nonlocal measured
        measured += rows.add(found)
        watch(measured, planned)

    work(missing, partial(measure, rows.map), keep, workers)
