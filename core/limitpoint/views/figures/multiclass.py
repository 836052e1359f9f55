"""Figures of signgd_adam, Section 5: which margin each optimizer maximises."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from limitpoint.views.figures._registry import figure
from limitpoint.views.figures.style import INK, WARM
from limitpoint.views.tables.margins import contenders, data, margins


@figure(
    "multiclass-norms",
    "Each steepest descent, and Adam, comes nearest to the maximum margin in its own norm",
    "signgd_adam, Section 5 and Appendix E",
)
def own_norms(steps: int = 10_000, seed: int = 42) -> Figure:
    """Margin over its certified optimum, by optimizer and norm, after a number of steps.

    Args:
        steps: of each run, eta_t = 1 / (reach sqrt(t + 1)), the reach that of the own norm.
        seed: of the clusters (k = 4, d = 20, 5 examples a class, sigma = .2).
    """
    frame = margins(steps, seed)
    shares = frame.to_numpy()
    canvas = Figure(figsize=(7.6, 4.8), layout="constrained")
    ax = canvas.subplots()
    image = ax.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    ax.set_xticks(range(len(frame.columns)), list(frame.columns))
    ax.set_yticks(range(len(frame)), list(frame.index))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.xaxis.tick_top()
    for (row, column), share in np.ndenumerate(shares):
        color = "white" if share > 0.6 else INK
        ax.text(column, row, f"{share:.3f}", ha="center", va="center", color=color)
    for row, (_, own) in enumerate(contenders(data(seed)).values()):
        corner = (list(frame.columns).index(own) - 0.47, row - 0.46)
        ax.add_patch(Rectangle(corner, 0.94, 0.92, fill=False, edgecolor=WARM, lw=2.2))
    canvas.colorbar(image, ax=ax, label="margin / largest margin, in the column's norm")
    ax.set_xlabel(f"after {steps} steps; framed: the norm whose margin theory says is maximised")
    return canvas
