"""Measuring what is missing of a map, and whatever else goes through workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, as_completed
from functools import partial
from typing import TypeVar

from limitpoint.sweeps._grid import Grid, Point
from limitpoint.sweeps._registry import MAPS, Row
from limitpoint.sweeps._rows import Rows
from limitpoint.sweeps._workers import Workers

#: So often is a pool made anew whose process was killed before the work is given up.
LIVES = 3
Watch = Callable[[int, int], None]
Task = TypeVar("Task")
Result = TypeVar("Result")


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
    planned = measured = 0

    def missing() -> list[list[Point]]:
        nonlocal planned, measured
        points = rows.missing(grid)
        planned, measured = len(points), 0
        return [points[start : start + batch] for start in range(0, len(points), batch)]

    def keep(found: list[Row]) -> None:
        nonlocal measured
        measured += rows.add(found)
        watch(measured, planned)

    work(missing, partial(measure, rows.map.name), keep, workers)


def work(
    missing: Callable[[], Sequence[Task]],
    do: Callable[[Task], Result],
    keep: Callable[[Result], None],
    workers: Workers | None = None,
) -> None:
    """Hand what is missing to workers, and keep what they find as it arrives.

    Args:
        missing: the tasks; asked again when a worker has died.
        do: what a worker does; it and the tasks are pickled where workers are processes.
        keep: called with each result, here.
        workers: this process by default.

    Raises:
        BrokenExecutor: a pool lost a process `LIVES` times.
    """
    for life in range(LIVES):
        try:
            _pass(missing(), do, keep, workers or Workers())
        except BrokenExecutor:
            if life == LIVES - 1:
                raise
        else:
            return


def _pass(
    tasks: Sequence[Task], do: Callable[[Task], Result], keep: Callable[[Result], None],
    workers: Workers,
) -> None:  # fmt: skip
    if not tasks:
        return
    with workers.executor() as executor:
        # Not kept in a list: each would hold its result to the end.
        for future in as_completed(executor.submit(do, task) for task in tasks):
            keep(future.result())
