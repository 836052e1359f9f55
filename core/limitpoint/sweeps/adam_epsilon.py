"""Where Adam with epsilon turns from the max-norm's separator to the 2-norm's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from limitpoint.engines.run import run
from limitpoint.optimizers import Adam
from limitpoint.optimizers.schedules import StepSize
from limitpoint.problems import clusters
from limitpoint.problems.problem import stack
from limitpoint.sweeps._draw import phase
from limitpoint.sweeps._registry import sweepable
from limitpoint.theory import measures
from limitpoint.theory.limits import max_margin
from limitpoint.views.figures.style import INK

SEED, ROWS, STEPS, STEP_SIZE = 42, 60, 30_000, 0.02
BETA1, BETA2 = 0.9, 0.95


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


@sweepable(
    "adam-epsilon",
    "Where Adam turns from the max-norm margin to the 2-norm margin, over epsilon and time",
    axes={"epsilon": tuple(np.geomspace(1e-12, 1.0, 49))},
    draw=draw,
    rows_a_point=ROWS,
)
def turning(epsilon: Tensor) -> Mapping[str, Tensor]:
    """Shares of both largest margins along a run of Adam, an epsilon a problem."""
    data = clusters(SEED)
    batch = stack([data] * len(epsilon))
    rule = Adam(StepSize(STEP_SIZE), BETA1, BETA2, epsilon.reshape(-1, 1, 1))
    kept = _steps()
    path = run(batch, rule, STEPS, record=kept)
    best = {p: max_margin(data.X, data.y, p, classes=data.classes).value for p in (np.inf, 2.0)}
    shares = {p: measures.normalised_margin(batch, path.w, p).T / best[p] for p in best}
    return {
        "step": torch.from_numpy(kept).expand(len(epsilon), -1),
        "max_norm": shares[np.inf],
        "two_norm": shares[2.0],
        "gamma": torch.full((len(epsilon),), best[np.inf]),
    }


def _steps() -> np.ndarray:
    """Exactly `ROWS` different steps, by ratio from ten on."""
    return np.unique(np.geomspace(10, STEPS, ROWS).round().astype(np.int64))
