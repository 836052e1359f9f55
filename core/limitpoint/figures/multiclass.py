"""Figures of signgd_adam, Section 5: which margin each optimizer maximises."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from limitpoint.figures._registry import figure
from limitpoint.limits import Norm, max_margin
from limitpoint.measures import normalised_margin, reach
from limitpoint.optimizers import Adam, Rule, SpectralDescent, SteepestDescent
from limitpoint.problem import Problem
from limitpoint.problems import clusters
from limitpoint.running import run
from limitpoint.schedules import StepSize

INK = "#1f2933"
NORMS: tuple[Norm, ...] = (1.0, 2.0, 3.0, math.inf, "spectral")
NAMES = ("1-norm", "2-norm", "3-norm", "max-norm", "spectral norm")


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
    rules, frame = _rules(_data(seed)), margins(steps, seed)
    shares = frame.to_numpy()
    canvas = Figure(figsize=(7.6, 4.8), layout="constrained")
    ax = canvas.subplots()
    image = ax.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    ax.set_xticks(range(len(NORMS)), list(frame.columns))
    ax.set_yticks(range(len(rules)), list(frame.index))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.xaxis.tick_top()
    for (row, column), share in np.ndenumerate(shares):
        color = "white" if share > 0.6 else INK
        ax.text(column, row, f"{share:.3f}", ha="center", va="center", color=color)
    for row, (_, own) in enumerate(rules.values()):
        corner = (NORMS.index(own) - 0.47, row - 0.46)
        ax.add_patch(Rectangle(corner, 0.94, 0.92, fill=False, edgecolor="#c8501e", lw=2.2))
    canvas.colorbar(image, ax=ax, label="margin / largest margin, in the column's norm")
    ax.set_xlabel(f"after {steps} steps; framed: the norm whose margin theory says is maximised")
    return canvas


def margins(steps: int = 10_000, seed: int = 42) -> pd.DataFrame:
    """Margin over its certified optimum, in [.., 1]: a row an optimizer, a column a norm.

    Args:
        steps: of each run.
        seed: of the clusters.
    """
    problem = _data(seed)
    rows = [_shares(problem, rule, steps) for rule, _ in _rules(problem).values()]
    return pd.DataFrame(rows, index=list(_rules(problem)), columns=list(NAMES))


def _data(seed: int) -> Problem:
    return clusters(seed, k=4, d=20, per_class=5, sigma=0.2)


def _rules(problem: Problem) -> dict[str, tuple[Rule, Norm]]:
    """Optimizers with the norm whose margin theory says they maximise, by label."""

    def paced(norm: Norm) -> StepSize:
        return StepSize(1 / float(reach(problem, norm)), 0.5)

    steepest = {
        "coordinate descent": 1.0, "NGD": 2.0, "steepest, $p = 3$": 3.0, "SignGD": math.inf,
    }  # fmt: skip
    rules: dict[str, tuple[Rule, Norm]] = {
        label: (SteepestDescent(paced(p), p=p), p) for label, p in steepest.items()
    }
    rules["Adam"] = (Adam(paced(math.inf), beta1=0.9, beta2=0.95), math.inf)
    rules["spectral descent"] = (SpectralDescent(paced("spectral")), "spectral")
    return rules


def _shares(problem: Problem, rule: Rule, steps: int) -> list[float]:
    """Margin over its optimum in each norm, at the end of a run."""
    final = run(problem, rule, steps, record=(steps,)).final
    X, y, k = problem.X, problem.y, problem.classes
    best = [max_margin(X, y, norm, classes=k).value for norm in NORMS]
    reached = [float(normalised_margin(problem, final, norm)) for norm in NORMS]
    return [margin / largest for margin, largest in zip(reached, best, strict=True)]
