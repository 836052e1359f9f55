"""What the maps' figures have in common, and the figure of a grid that has none of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from limitpoint.errors import UsageError, meant
from limitpoint.views.figures.style import ACCENT, clean

#: What is shown of several rows in one place.
By = Literal["mean", "min", "max"]


def phases(
    rows: pd.DataFrame, *, over: Sequence[str], value: str, title: str = "", by: By = "mean"
) -> Figure:
    """A value over one setting, or over two.

    Args:
        rows: of a map.
        over: one or two columns.
        value: the column that is shown; a slack is cut at 1 and -1, and red below 0.
        title: of the figure.
        by: what is shown where several rows agree in `over`: "mean", "min" or "max".

    Raises:
        UsageError: no such column, or it holds words.
    """
    columns = list(map(str, rows))
    for name in (*over, value):
        if name not in columns:
            known = f"{meant(name, columns)}; columns: {', '.join(columns)}"
            raise UsageError(f"no column {name!r}{known}")
        if not pd.api.types.is_numeric_dtype(rows[name]):
            raise UsageError(f"the column {name!r} holds words: choose another --value")
    canvas = Figure(figsize=(7.2, 5), layout="constrained")
    ax = canvas.subplots()
    if len(over) == 1:
        _line(ax, rows, over[0], value, by)
        clean(ax, over[0], value, title)
        return canvas
    shown = rows.assign(**{value: rows[value].clip(-1, 1)}) if value == "slack" else rows
    colors = _colors(value, rows[value])
    mesh = phase(ax, shown, over[0], over[1], value, by=by, **colors)
    canvas.colorbar(mesh, label="slack: blue within the bound" if value == "slack" else value)
    ax.set_title(title, fontsize=10)
    return canvas


def _line(ax: Axes, rows: pd.DataFrame, x: str, value: str, by: By) -> None:
    groups = rows.groupby(x)[value]
    along = groups.agg(by)
    ax.plot(along.index, along, "o-", ms=3, color=ACCENT)
    ax.fill_between(along.index, groups.min(), groups.max(), color=ACCENT, alpha=0.2, lw=0)
    if by_ratio(along.index.to_numpy()):
        ax.set_xscale("log")


def _colors(name: str, values: pd.Series[float]) -> dict[str, Any]:
    if name == "slack":
        return {"cmap": "RdBu", "vmin": -1, "vmax": 1}
    if name.startswith("share_"):
        return {"cmap": "viridis", "vmin": 0, "vmax": 1}
    some = values[np.isfinite(values)]
    wide = len(some) > 0 and some.min() > 0 and some.max() > 100 * some.min()
    return {"cmap": "viridis", "norm": LogNorm() if wide else Normalize()}


def phase(
    ax: Axes, rows: pd.DataFrame, x: str, y: str, value: str, *, by: By = "mean", **options: Any
) -> QuadMesh:
    """Colour a value over two settings; an axis is logarithmic where its values are."""
    table = rows.pivot_table(value, index=y, columns=x, aggfunc=by, dropna=False)
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
    evenly, ratio = np.diff(values), np.diff(np.log(values))
    return bool(ratio.std() / ratio.mean() < evenly.std() / evenly.mean() - 1e-9)
