"""Figures of usam_report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from limitpoint.engines.run import run
from limitpoint.optimizers import GD, USAM, Rule
from limitpoint.optimizers.schedules import StepSize
from limitpoint.problems import one_equation
from limitpoint.problems.image_files import read_cifar10
from limitpoint.problems.images import ImageSet, spectral_images
from limitpoint.problems.problem import Problem
from limitpoint.views.figures._registry import figure
from limitpoint.views.figures.style import ACCENT, INK, MUTED, WARM
from limitpoint.views.tables.table1 import STEPS, printed, table_1, tasks_of


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
    canvas = Figure(figsize=(8.4, 4.8), layout="constrained")
    axes = canvas.subplots(1, 2, sharex=True, sharey=True)
    eta = StepSize(step_size)
    rules = {
        f"GD, $\\eta = {step_size}$": GD(eta),
        f"USAM, $\\eta = {step_size}$, $\\rho = {rho}$": USAM(eta, rho=rho),
    }
    for ax, (title, rule) in zip(axes, rules.items(), strict=True):
        _landscape(ax, problem)
        _path(ax, problem, rule, steps)
        ax.set_title(title)
        ax.set_xlabel("$w_1$")
    axes[0].set_ylabel("$w_2$")
    canvas.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4,
                  frameon=False)  # fmt: skip
    return canvas


def _landscape(ax: Axes, problem: Problem) -> None:
    """Level lines of the loss, and the line of its minima."""
    (a, b), target = problem.X[0].tolist(), float(problem.y[0])
    x = np.linspace(-0.1, 1.5, 200)
    y = np.linspace(-0.4, 1.2, 200)
    levels = (a * x[None, :] + b * y[:, None] - target) ** 2
    ax.contour(x, y, levels, levels=[0.1, 0.5, 1.5, 3, 5], colors=MUTED, linewidths=0.6)
    ax.plot(x, (target - a * x) / b, color=ACCENT, lw=2, label="global minima $\\mathcal{G}$")
    ax.set_xlim(x[0], x[-1])
    ax.set_ylim(y[0], y[-1])
    ax.set_aspect("equal")
    ax.spines[["top", "right"]].set_visible(False)


def _path(ax: Axes, problem: Problem, rule: Rule, steps: int) -> None:
    w = run(problem, rule, steps, record=range(steps + 1)).w.numpy()
    ax.plot(w[:, 0], w[:, 1], "o-", color=INK, ms=3.5, lw=1, label="iterates")
    ax.plot(*w[0], "s", color=WARM, ms=8, label="$w_{init} = (1, 1)$")
    end = f"$w_{{sol}} = ({w[-1, 0]:.1f}, {w[-1, 1]:.1f})$"
    ax.plot(*w[-1], "*", color=WARM, ms=14, mec="white", mew=0.8, label=end)


@figure(
    "usam-table-1",
    "USAM's solutions relative to GD's: as printed, and as measured",
    "usam_report, Table 1",
)
def printed_and_measured(
    cifar10: str | Path | None = None, *, per_class: int = 100, steps: int = STEPS, seed: int = 42
) -> Figure:
    """Trace of the Hessian, norm and distance of USAM's solutions over those of GD.

    Args:
        cifar10: a copy of CIFAR-10 as `limitpoint.problems.image_files.read_cifar10` takes it; 1/f
            images by default.
        per_class: images of each class.
        steps: of each run.
        seed: of the sample, the start and the noise.
    """
    images = (
        spectral_images(seed, per_class=per_class) if cifar10 is None else read_cifar10(cifar10)
    )
    tasks = tasks_of(images, per_class, seed=seed)
    tables = {
        "printed": (printed(), MUTED, "o"),
        f"measured, {_origin(images)}": (table_1(tasks, steps=steps, seed=seed), ACCENT, "D"),
    }
    canvas = Figure(figsize=(9.6, 4.6), layout="constrained")
    axes = canvas.subplots(2, 3, sharex="col", sharey=True)
    for row, task in zip(axes, tasks, strict=True):
        for ax, quantity in zip(row, TITLES, strict=True):
            for label, (table, color, marker) in tables.items():
                ratios = _ratios(table.loc[[task], :], quantity)
                ax.plot(ratios.to_numpy(), list(ratios.index), marker, color=color, label=label)
            _ratio_axis(ax)
        row[0].set_ylabel(task)
    for ax, title in zip(axes[0], TITLES.values(), strict=True):
        ax.set_title(title, fontsize=11)
    for ax in axes[1]:
        ax.set_xlabel("USAM / GD")
    canvas.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2,
                  frameon=False)  # fmt: skip
    return canvas


TITLES = {
    "trace": "trace of the Hessian",
    "norm": r"$\|\mathbf{w}_{sol}\|$",
    "distance": r"$\|\mathbf{w}_{init} - \mathbf{w}_{sol}\|$",
}


def _origin(images: ImageSet) -> str:
    return images.train.name.partition(",")[0]


def _ratios(table: pd.DataFrame, quantity: str) -> pd.Series:
    """USAM over GD from the same start, by radius and start."""
    columns = table[quantity].droplevel("task").unstack("start")
    ratios = (columns.drop("GD") / columns.loc["GD"]).stack()
    names = [
        f"$\\rho = {name[5:-1]}$, {start.replace('0', 'zero')} start"
        for name, start in ratios.index.to_list()
    ]
    return pd.Series(ratios.to_numpy(), names)


def _ratio_axis(ax: Axes) -> None:
    ax.axvline(1, color=INK, lw=0.8, zorder=0)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.margins(y=0.15)
    ax.spines[["top", "right"]].set_visible(False)
