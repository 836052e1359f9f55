"""Grids of settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

#: Every combination of the values of each axis.
Grid = Mapping[str, tuple[float, ...]]
#: The settings of one point, in the order of the axes.
Point = tuple[float, ...]
#: The settings of a batch of B points, by name.
Settings = Mapping[str, Sequence[float]]
#: What was measured at B points, by name: (B,), or (B, R) where a point leaves R rows.
Columns = Mapping[str, Any]


def points(grid: Grid) -> Iterator[Point]:
    """Every combination, the last axis fastest."""
    yield from product(*grid.values())
