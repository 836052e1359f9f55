"""Figures of signgd_adam."""

from __future__ import annotations

import math

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from limitpoint.engines.run import run
from limitpoint.engines.trajectory import Trajectory, log_grid
from limitpoint.optimizers import NGD, Adam, SignGD
from limitpoint.optimizers.schedules import StepSize
from limitpoint.problems import clusters
from limitpoint.problems.problem import Problem, stack
from limitpoint.theory.limits import MaxMargin, max_margin
from limitpoint.theory.measures import normalised_margin
from limitpoint.views.figures._registry import figure
from limitpoint.views.figures.style import ACCENT, INK, MUTED, WARM


@figure(
    "multiclass-1",
    "SignGD and Adam follow the max-norm separator, NGD the 2-norm one",
    "signgd_adam, Figure 1",
)
def experiment(
    steps: int = 10_000, step_size: float = 0.4, epsilon: float = 1e-8, seed: int = 42
) -> Figure:
    """Margins over their optima and correlations with the separators, along three optimizers.

    Args:
        steps: of each run.
        step_size: eta_0 of eta_0 / sqrt(t + 1); NGD's is ten times as long.
        epsilon: of the second Adam; it leaves the first where the gradient is as small.
        seed: of the clusters (k = 10, d = 25, 50 examples a class, sigma = .1).
    """
    problem = clusters(seed, k=10, d=25, per_class=50, sigma=0.1)
    best = {p: max_margin(problem.X, problem.y, p, classes=10) for p in (torch.inf, 2.0)}
    runs = _experiment_runs(problem, steps, step_size, epsilon)
    canvas = Figure(figsize=(9.6, 6.4), layout="constrained")
    axes = canvas.subplots(2, 2, sharex=True, sharey="row")
    for column, (p, limit) in enumerate(best.items()):
        name = "max-norm" if p == torch.inf else "2-norm"
        for label, (run_, style) in runs.items():
            t = run_.times[1:]
            reached = normalised_margin(problem, run_.w[1:], p) / limit.value
            axes[0, column].semilogx(t, reached, label=label, **style)
            axes[1, column].semilogx(t, _correlation(run_.w[1:], limit), label=label, **style)
        axes[0, column].set_title(name)
        axes[1, column].set_xlabel("step $t$")
        _bare(axes[0, column])
        _bare(axes[1, column])
    axes[0, 0].set_ylim(0, 1.02)
    axes[0, 0].set_ylabel("margin / largest margin")
    axes[1, 0].set_ylabel("correlation with the separator")
    handles = axes[0, 0].get_legend_handles_labels()
    canvas.legend(*handles, loc="outside lower center", ncols=4, frameon=False)
    return canvas


def _experiment_runs(
    problem: Problem, steps: int, step_size: float, epsilon: float
) -> dict[str, tuple[Trajectory, dict[str, object]]]:
    """Trajectories and line styles, by label."""
    eta, longer = StepSize(step_size, 0.5), StepSize(10 * step_size, 0.5)
    exponent = f"10^{{{math.log10(epsilon):.0f}}}"
    rules = {
        "SignGD": (SignGD(eta), {"color": INK, "lw": 1.6}),
        "Adam": (Adam(eta, beta1=0.9, beta2=0.95), {"color": ACCENT, "lw": 1.6}),
        f"Adam, $\\epsilon = {exponent}$": (
            Adam(eta, beta1=0.9, beta2=0.95, epsilon=epsilon),
            {"color": ACCENT, "lw": 1.6, "ls": (0, (3, 2))},
        ),
        "NGD": (NGD(longer), {"color": WARM, "lw": 1.6}),
    }
    return {name: (run(problem, rule, steps), style) for name, (rule, style) in rules.items()}


def _correlation(w: Tensor, limit: MaxMargin) -> Tensor:
    separator = torch.from_numpy(limit.solution).flatten()
    return torch.cosine_similarity(w.flatten(-2), separator, dim=-1)


@figure(
    "multiclass-hand-over",
    "With an epsilon Adam leaves the max-norm separator, the later the smaller epsilon is",
    "beyond signgd_adam, Section 7 (epsilon)",
)
def hand_over(steps: int = 10_000, seed: int = 42) -> Figure:
    """Adam's max-norm margin over the sum of its step sizes, for epsilon from 1e-8 to 1e-16 and 0.

    Args:
        steps: of each run.
        seed: of the clusters.
    """
    decades = np.arange(8, 17)
    epsilons = torch.tensor([0.0, *10.0**-decades], dtype=torch.float64).reshape(-1, 1, 1)
    problem = clusters(seed)
    best = max_margin(problem.X, problem.y, torch.inf, classes=problem.classes)
    adam = Adam(StepSize(1.0, 0.5), beta1=0.9, beta2=0.95, epsilon=epsilons)
    batch = stack([problem] * len(epsilons))
    found = run(batch, adam, steps, record=log_grid(steps, 60)[1:])
    total = found.integrals["step_size"].reshape(len(found.times), -1)[:, 0]
    reached = normalised_margin(problem, found.w, torch.inf) / best.value

    canvas = Figure(figsize=(8.0, 4.6), layout="constrained")
    ax = canvas.subplots()
    shades = colormaps["viridis"](np.linspace(0.85, 0.1, len(decades)))
    for i, decade in enumerate(decades, start=1):
        name = f"$\\epsilon = 10^{{-{decade}}}$"
        ax.plot(total, reached[:, i], color=shades[i - 1], lw=1.4, label=name)
        at = decade * math.log(10) / best.value
        ax.axvline(at, ymax=0.03, color=shades[i - 1], lw=1.4)
    ax.plot(total, reached[:, 0], color=INK, lw=1.8, label="$\\epsilon = 0$")
    ax.set_ylim(0.5, 1.0)
    ax.set_xlabel(r"$S$, sum of the step sizes (ticks below: $\ln(1/\epsilon)\,/\,\gamma$)")
    ax.set_ylabel("max-norm margin / largest margin")
    ax.legend(frameon=False, ncols=2, loc="lower right")
    _bare(ax)
    return canvas


def _bare(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color=MUTED, alpha=0.25, lw=0.6)
