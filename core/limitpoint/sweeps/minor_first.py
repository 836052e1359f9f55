"""The three regimes of l2-SAM on a diagonal network, and the derived borders between them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from torch import Tensor

from limitpoint.engines.trajectory import Trajectory
from limitpoint.problems.problem import Problem
from limitpoint.sweeps._draw import phase
from limitpoint.sweeps._map import sweepable
from limitpoint.theory import amplification
from limitpoint.views.figures.style import INK

MU = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)  # Figure 4 of minor_first
NAMES = ("not decided", "1: falls to zero", "2: minor first, in turn", "3: major at once")
COLORS = ("#ffffff", "#9aa5b1", "#e69f00", "#0072b2")


def draw(rows: pd.DataFrame) -> Figure:
    """Regimes over (rho, alpha), measured, with the borders that are derived."""
    canvas = Figure(figsize=(7.2, 5), layout="constrained")
    ax = canvas.subplots()
    norm = BoundaryNorm(np.arange(-0.5, len(NAMES)), len(NAMES))
    mesh = phase(ax, rows, "rho", "alpha", "regime", cmap=ListedColormap(COLORS), norm=norm)
    mu = torch.tensor(MU, dtype=torch.float64)
    rho = np.sort(rows["rho"].unique())
    borders = {
        "$\\alpha_1 = %.4f\\,\\rho$": amplification.survival_threshold(mu),
        "$\\alpha_2 = %.4f\\,\\rho$": amplification.major_first(mu),
    }
    for (label, ratio), style in zip(borders.items(), ("--", "-"), strict=True):
        ax.plot(rho, ratio * rho, style, color=INK, lw=1.4, label=label % ratio + ", derived")
    bar = canvas.colorbar(mesh, ticks=range(len(NAMES)))
    bar.ax.set_yticklabels(NAMES)
    ax.set_title("$\\mu = (1, \\ldots, 6)$: which coordinate is amplified", fontsize=10)
    ax.legend(loc="upper left", fontsize=9)
    return canvas


@sweepable(
    "minor-first",
    "Three regimes of l2-SAM over radius and start, and the derived borders between them",
    axes={
        "alpha": tuple(np.geomspace(1e-4, 3e-2, 60)),
        "rho": tuple(np.geomspace(1e-3, 3e-2, 48)),
    },
    draw=draw,
    rule="sam-l2",
    problem="one_example",
    fixed={"mu": MU, "step_size": 5e-3},
    steps=4000,
)
def regimes(problem: Problem, path: Trajectory, alpha: Tensor, rho: Tensor) -> Mapping[str, Tensor]:
    """Which regime a run is in, by what it cannot leave any more.

    c <= mu_1: every coordinate shrinks from then on. c >= m_2 / m_1: c rises forever. Of those that
    survive, the coordinate that grew most in the first step says whether the major one leads.
    """
    c = amplification.drive(problem, path.w, rho.unsqueeze(-1)).squeeze(-1)
    barrier = amplification.survival_barrier(problem, path.w).squeeze(-1)
    collapsed = (c <= MU[0]).cummax(0).values
    survived = (c >= barrier).cummax(0).values
    growth = (path.w[1] / path.w[0])[:, 0]
    major = growth.argmax(-1) == len(MU) - 1
    regime = torch.where(survived[-1], torch.where(major, 3, 2), 0)
    first = collapsed.int().argmax(0) < survived.int().argmax(0)
    falls = collapsed[-1] & (~survived[-1] | first)
    return {"regime": torch.where(falls, 1, regime), "fastest": growth.argmax(-1) + 1}
