"""What the maps' figures have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh


def phase(ax: Axes, rows: pd.DataFrame, x: str, y: str, value: str, **options: Any) -> QuadMesh:
    """Colour a value over two settings; an axis is logarithmic where its values are."""
    table = rows.pivot_table(value, index=y, columns=x)
    mesh = ax.pcolormesh(
        table.columns.to_numpy(), table.index.to_numpy(), table.to_numpy(),
        shading="nearest", rasterized=True, **options,
    )  # fmt: skip
    for values, scale in ((table.columns, ax.set_xscale), (table.index, ax.set_yscale)):
        if by_ratio(values.to_numpy()):
            scale("log")
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    return mesh


def by_ratio(values: np.ndarray) -> bool:
    """Whether values are spaced by ratio rather than evenly."""
    if len(values) < 3 or values.min() <= 0:
        return False
    return bool(np.ptp(np.diff(np.log(values))) < np.ptp(np.diff(values)) / np.abs(values).max())
