"""Grids of settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

#: Every combination of the values of each axis.
Grid = Mapping[str, tuple[float, ...]]
#: The settings of one point, in the order of the axes.
Point = tuple[float, ...]


def points(grid: Grid) -> Iterator[Point]:
    """Every combination, the last axis fastest."""
    yield from product(*grid.values())
