"""What can be measured over a grid, and the maps that have names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from limitpoint.errors import UsageError, meant
from limitpoint.judgement.evaluate import single_thread
from limitpoint.sweeps._draw import By, phases
from limitpoint.sweeps._grid import Columns, Grid, Point, Settings
from limitpoint.sweeps._runs import Measure, Runs

Draw = Callable[[pd.DataFrame], Figure]


@dataclass(frozen=True)
class Map:
    """What can be measured over a grid.

    Args:
        name: says all that its rows depend on, but for the axes.
        title: what it shows, in one line.
        axes: the settings, each with its usual values.
        measure: of a batch of points; pickled where workers are processes.
        draw: the phase diagram of its rows, if it has one of its own.
        rows_a_point: how many rows a point leaves.
        by: what a figure shows of several rows in one place: "mean", "min" or "max".
    """

    name: str
    title: str
    axes: Grid
    measure: Callable[[Settings], Columns]
    draw: Draw | None = None
    rows_a_point: int = 1
    by: By = "mean"

    def grid(self, axes: Grid) -> Grid:
        """The usual grid, with other values on some axes.

        Raises:
            UsageError: it has no such axis.
        """
        for name in axes:
            if name not in self.axes:
                known = f"{meant(name, self.axes)}; its axes: {', '.join(self.axes)}"
                raise UsageError(f"{self.name} has no axis {name!r}{known}")
        return {**self.axes, **axes}

    def rows(self, batch: list[Point]) -> pd.DataFrame:
        """Measure a batch, on one thread, as claims run: `rows_a_point` rows of each point."""
        with single_thread():
            found = self.measure(dict(zip(self.axes, zip(*batch, strict=True), strict=True)))
        columns = dict(zip(self.axes, np.transpose(batch), strict=True)) | dict(found)
        shape = (len(batch), self.rows_a_point)
        return pd.DataFrame(
            {
                name: np.broadcast_to(np.reshape(column, (len(batch), -1)), shape).ravel()
                for name, column in columns.items()
            }
        )

    def figure(self, rows: pd.DataFrame, over: Sequence[str] = (), value: str = "") -> Figure:
        """The map's own figure, or a value over one setting or two.

        Args:
            rows: see `Rows.frame`.
            over: columns; by default the first two axes along which there is more than one value.
            value: a column; by default the first that was measured.

        Raises:
            UsageError: no such column, or it holds words.
        """
        if self.draw is not None and not over and not value:
            return self.draw(rows)
        along = [name for name in (*self.axes, "step") if name in rows]
        apart = [name for name in along if rows[name].nunique() > 1]
        usual = next(str(name) for name in rows if name not in along)
        return phases(
            rows, over=over or apart[:2] or along[:1], value=value or usual, title=self.name,
            by=self.by,
        )  # fmt: skip


_MAPS: dict[str, Map] = {}
MAPS: Mapping[str, Map] = MappingProxyType(_MAPS)


def sweepable(
    name: str, title: str, *, axes: Grid, draw: Draw, rows_a_point: int = 1, **runs: Any
) -> Callable[[Measure], Measure]:
    """Register a function that measures runs; see `Map`, and `Runs` for what they are of."""

    def register(measure: Measure) -> Measure:
        if name in _MAPS:
            raise ValueError(f"map {name!r} is registered twice")
        _MAPS[name] = Map(name, title, axes, Runs(measure=measure, **runs), draw, rows_a_point)
        return measure

    return register
