"""How much smaller 1-SAM makes the effective scale of a diagonal network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from torch import Tensor

from limitpoint.engines.trajectory import Trajectory
from limitpoint.problems.models import DiagonalDifference
from limitpoint.problems.problem import Problem
from limitpoint.sweeps._draw import phase
from limitpoint.sweeps._map import sweepable
from limitpoint.theory import diagonal, measures
from limitpoint.views.figures.style import INK


def draw(rows: pd.DataFrame) -> Figure:
    """The shrinkage of alpha and where the leading order of Theorem 5 puts it."""
    canvas = Figure(figsize=(10.5, 4.4), layout="constrained")
    left, right = canvas.subplots(1, 2, sharex=True, sharey=True)
    levels = [0.03, 0.1, 0.3, 1.0, 3.0]
    for ax, value, title, norm in (
        (left, "shrinkage", "measured: $-\\log$ of alpha at the end over alpha", LogNorm()),
        (right, "norm", "1-norm of where it ends", Normalize()),
    ):
        mesh = phase(ax, rows, "rho", "alpha", value, cmap="viridis", norm=norm)
        canvas.colorbar(mesh, ax=ax)
        ax.set_title(title, fontsize=10)
    table = rows.pivot_table("leading", index="alpha", columns="rho")
    lines = left.contour(
        table.columns.to_numpy(), table.index.to_numpy(), table.to_numpy(),
        levels=levels, colors="white", linewidths=1,
    )  # fmt: skip
    left.clabel(lines, fmt="%g", fontsize=8)
    canvas.suptitle("1-SAM, sparse regression; white: the leading order of the exponent", color=INK,
                    fontsize=11)  # fmt: skip
    return canvas


def _leading(problem: Problem, w: Tensor) -> Tensor:
    return diagonal.leading_integrands(problem, w)[1]


@sweepable(
    "one-sam",
    "How much 1-SAM shrinks the effective scale of a diagonal network, over start and radius",
    axes={
        "alpha": tuple(np.geomspace(0.02, 0.5, 32)),
        "rho": tuple(np.geomspace(1e-3, 0.3, 32)),
    },
    draw=draw,
    rule="1-sam",
    problem="sparse_regression",
    fixed={"seed": 42, "step_size": 0.02},
    steps=20_000,
    integrals={"leading": _leading},
)
def shrinkage(
    problem: Problem, path: Trajectory, alpha: Tensor, rho: Tensor
) -> Mapping[str, Tensor]:
    """The mean exponent of the effective scale, its leading order, the 1-norm and the loss."""
    end = measures.effective_alpha(path.final)
    return {
        "shrinkage": -(end.log() - alpha.log().unsqueeze(-1)).mean(-1),
        "leading": rho * path.integrals["leading"][-1].mean(-1),
        "norm": DiagonalDifference.predictor(path.final).abs().sum(-1),
        "loss": problem.value(path.final),
    }
