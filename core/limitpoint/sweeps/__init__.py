"""Maps: what is measured over a grid of settings, many of them in one compiled run."""

from limitpoint.sweeps._grid import Grid
from limitpoint.sweeps._judged import of_claim
from limitpoint.sweeps._map import MAPS, Map
from limitpoint.sweeps._rows import Rows
from limitpoint.sweeps._runs import Runs
from limitpoint.sweeps._sweep import sweep
from limitpoint.sweeps._usual import of_rule

# Maps register themselves.
from limitpoint.sweeps import adam_epsilon, minor_first, one_sam  # isort: skip

__all__ = [
    "MAPS", "Grid", "Map", "Rows", "Runs", "adam_epsilon", "minor_first", "of_claim", "of_rule",
    "one_sam", "sweep",
]  # fmt: skip
