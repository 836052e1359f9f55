"""Maps: what is measured over a grid of settings, many of them in one compiled run."""

from limitpoint.sweeps._grid import Grid
from limitpoint.sweeps._registry import MAPS, Map
from limitpoint.sweeps._rows import Rows
from limitpoint.sweeps._sweep import sweep, work
from limitpoint.sweeps._workers import Workers

# Maps register themselves.
from limitpoint.sweeps import adam_epsilon, minor_first, one_sam  # isort: skip

__all__ = [
    "MAPS", "Grid", "Map", "Rows", "Workers", "adam_epsilon", "minor_first", "one_sam", "sweep",
    "work",
]  # fmt: skip
