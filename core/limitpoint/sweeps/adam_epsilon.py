"""Where Adam with epsilon turns from the max-norm's separator to the 2-norm's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from limitpoint.engines.trajectory import Trajectory
from limitpoint.problems.problem import Problem
from limitpoint.sweeps._draw import phase
from limitpoint.sweeps._map import sweepable
from limitpoint.sweeps._usual import largest_margins
from limitpoint.theory import measures
from limitpoint.views.figures.style import INK

ROWS, STEPS, STEP_SIZE = 60, 30_000, 0.02


def draw(rows: pd.DataFrame) -> Figure:
    """The larger share, and where the steps that were taken add up to ln(1/epsilon) / gamma."""
    canvas = Figure(figsize=(7.2, 5), layout="constrained")
    ax = canvas.subplots()
    shown = rows.assign(turned=rows["max_norm"] - rows["two_norm"])
    mesh = phase(ax, shown, "step", "epsilon", "turned", cmap="RdBu", vmin=-0.3, vmax=0.3)
    ax.set_xscale("log")
    ax.set_yscale("log")
    canvas.colorbar(mesh, label="share of the max-norm margin less that of the 2-norm's")
    gamma = rows["gamma"].iloc[0]
    epsilon = np.sort(rows["epsilon"].unique())
    turn = -np.log(epsilon) / (gamma * STEP_SIZE)
    seen = (turn >= rows["step"].min()) & (turn <= rows["step"].max())
    ax.plot(turn[seen], epsilon[seen], "--", color=INK, lw=1.4,
            label="$\\sum\\eta = \\ln(1/\\epsilon)\\,/\\,\\gamma$, derived")  # fmt: skip
    ax.legend(loc="lower right", fontsize=9)
    ax.set_title("Adam: blue, nearer to the max-norm's separator; red, to the 2-norm's",
                 fontsize=10)  # fmt: skip
    return canvas


def _steps() -> list[int]:
    """Exactly `ROWS` different steps, by ratio from ten on."""
    return np.unique(np.geomspace(10, STEPS, ROWS).round().astype(np.int64)).tolist()


@sweepable(
    "adam-epsilon",
    "Where Adam turns from the max-norm margin to the 2-norm margin, over epsilon and time",
    axes={"epsilon": tuple(np.geomspace(1e-12, 1.0, 49))},
    draw=draw,
    rows_a_point=ROWS,
    rule="adam",
    problem="clusters",
    fixed={"seed": 42, "step_size": STEP_SIZE, "beta1": 0.9, "beta2": 0.95},
    steps=STEPS,
    record=_steps(),
)
def turning(problem: Problem, path: Trajectory, epsilon: Tensor) -> Mapping[str, Tensor]:
    """Shares of both largest margins along a run of Adam."""
    best = largest_margins(problem)
    shares = {p: measures.normalised_margin(problem, path.w, p).T / best[p][:, None] for p in best}
    return {
        "step": torch.from_numpy(path.times).expand(len(epsilon), -1),
        "max_norm": shares[np.inf],
        "two_norm": shares[2.0],
        "gamma": best[np.inf],
    }
