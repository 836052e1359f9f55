"""Registering maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from limitpoint.errors import UsageError, meant
from limitpoint.judgement.evaluate import single_thread
from limitpoint.sweeps._grid import Grid, Point

#: Takes the points' settings by name, each of shape (B,), float64; returns columns of shape (B,),
#: or (B, R) where a point leaves R rows.
Measure = Callable[..., Mapping[str, Tensor]]
Draw = Callable[[pd.DataFrame], Figure]
Row = dict[str, float]


@dataclass(frozen=True)
class Map:
    """What can be measured over a grid.

    Args:
        name: stable.
        title: what it shows, in one line.
        axes: the settings, each with its usual values.
        measure: of a batch of points.
        draw: the phase diagram of its rows.
        rows_a_point: how many rows a point leaves.
    """

    name: str
    title: str
    axes: Grid
    measure: Measure
    draw: Draw
    rows_a_point: int

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

    def rows(self, batch: list[Point]) -> list[Row]:
        """Measure a batch in one run, on one thread, as claims run."""
        settings = torch.tensor(batch, dtype=torch.float64).unbind(-1)
        with single_thread():
            found = self.measure(**dict(zip(self.axes, settings, strict=True)))
        shape = (len(batch), self.rows_a_point)
        columns = {
            name: c.double().reshape(len(batch), -1).expand(shape) for name, c in found.items()
        }
        return [
            dict(zip(self.axes, point, strict=True))
            | {name: float(column[b, r]) for name, column in columns.items()}
            for b, point in enumerate(batch)
            for r in range(self.rows_a_point)
        ]


_MAPS: dict[str, Map] = {}
MAPS: Mapping[str, Map] = MappingProxyType(_MAPS)


def sweepable(
    name: str, title: str, *, axes: Grid, draw: Draw, rows_a_point: int = 1
) -> Callable[[Measure], Measure]:
    """Register a function that measures a batch of points; see `Map`."""

    def register(measure: Measure) -> Measure:
        if name in _MAPS:
            raise ValueError(f"map {name!r} is registered twice")
        _MAPS[name] = Map(name, title, axes, measure, draw, rows_a_point)
        return measure

    return register
