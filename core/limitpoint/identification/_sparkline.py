"""A trend in a terminal."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: ArrayLike, width: int = 12) -> str:
    """Values in [0, 1] as a line of bars, at most `width` of them; below zero is the lowest bar."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) == 0:
        return ""
    chosen = values[np.unique(np.linspace(0, len(values) - 1, width).round().astype(int))]
    levels = np.clip(np.nan_to_num(chosen) * len(BARS), 0, len(BARS) - 1).astype(int)
    return "".join(BARS[level] for level in levels)
