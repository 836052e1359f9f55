"""Figures of usam_report."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from limitpoint.figures._registry import figure
from limitpoint.optimizers import GD, USAM, Rule
from limitpoint.problem import Problem
from limitpoint.problems import one_equation
from limitpoint.running import run

INK, MUTED, ACCENT, START = "#1f2933", "#9aa5b1", "#2f6fb0", "#c8501e"


@figure(
    "usam-1",
    "GD and USAM end at the same interpolator, the one closest to their start",
    "usam_report, Figure 1",
)
def same_limit(step_size: float = 0.04, rho: float = 0.04, steps: int = 60) -> Figure:
    """GD (left) and USAM (right) on x = (1, 2), y = 1, from (1, 1) to (0.6, 0.2).

    Args:
        step_size: eta > 0; the loss has curvature 10, so that GD is stable below 0.2.
        rho: USAM's radius >= 0.
        steps: how many steps are drawn.
    """
    problem = one_equation()
    canvas = Figure(figsize=(8.4, 4.2), layout="constrained")
    axes = canvas.subplots(1, 2, sharex=True, sharey=True)
    rules = {
        f"GD, $\\eta = {step_size}$": GD(step_size),
        f"USAM, $\\eta = {step_size}$, $\\rho = {rho}$": USAM(step_size, rho=rho),
    }
    for ax, (title, rule) in zip(axes, rules.items(), strict=True):
        _landscape(ax, problem)
        _path(ax, problem, rule, steps)
        ax.set_title(title)
        ax.set_xlabel("$w_1$")
    axes[0].set_ylabel("$w_2$")
    return canvas


def _landscape(ax: Axes, problem: Problem) -> None:
    """Level lines of the loss, and the line of its minima."""
    (a, b), target = problem.X[0].tolist(), float(problem.y[0])
    x = np.linspace(-0.1, 1.5, 200)
    y = np.linspace(-0.4, 1.2, 200)
    levels = factor_of(problem) * (a * x[None, :] + b * y[:, None] - target) ** 2 / 2
    ax.contour(x, y, levels, levels=[0.1, 0.5, 1.5, 3, 5], colors=MUTED, linewidths=0.6)
    ax.plot(x, (target - a * x) / b, color=ACCENT, lw=2, label="global minima $\\mathcal{G}$")
    ax.set_xlim(x[0], x[-1])
    ax.set_ylim(y[0], y[-1])
    ax.set_aspect("equal")
    ax.spines[["top", "right"]].set_visible(False)


def factor_of(problem: Problem) -> float:
    """What the squared residual's half is multiplied by."""
    return problem.loss.weight(problem.n)


def _path(ax: Axes, problem: Problem, rule: Rule, steps: int) -> None:
    w = run(problem, rule, steps, record=range(steps + 1)).w.numpy()
    ax.plot(w[:, 0], w[:, 1], "o-", color=INK, ms=3.5, lw=1, label="iterates")
    ax.plot(*w[0], "s", color=START, ms=8, label="$w_{init} = (1, 1)$")
    end = f"$w_{{sol}} = ({w[-1, 0]:.1f}, {w[-1, 1]:.1f})$"
    ax.plot(*w[-1], "*", color=START, ms=14, mec="white", mew=0.8, label=end)
    ax.legend(loc="upper right", frameon=False, fontsize=9)
