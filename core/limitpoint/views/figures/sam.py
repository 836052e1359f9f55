"""Figures 5, 6, 7, 13, 14 and 15 of understanding_sam: those that need no deep network.

Figures 6, 14 and 15 use the data, steps and radii of the authors' notebook. Its 1-SAM ascends by
2 rho r_i x_i * w, twice the rho grad l_i of the paper: radii are given in its convention.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from limitpoint import problems
from limitpoint.engines.run import run
from limitpoint.engines.trajectory import Trajectory
from limitpoint.errors import SubjectFailed
from limitpoint.optimizers import GD, L2SAM, NSAM, OneSAM, Rule, Stochastic
from limitpoint.optimizers.schedules import LinearStep, StepSize
from limitpoint.problems import relu
from limitpoint.problems.models import DiagonalDifference
from limitpoint.problems.problem import Problem, stack
from limitpoint.theory.limits import (
    hyperbolic_entropy,
    min_distance_interpolator,
    min_l1_interpolator,
    min_potential_interpolator,
)
from limitpoint.views.figures._registry import figure
from limitpoint.views.figures.style import INK, MUTED, clean

# Okabe and Ito's colours and a grey, told apart by every common kind of colour vision.
ERM, N_SAM, ONE_SAM = "#4d4d4d", "#e69f00", "#0072b2"
SCALES = ("#0072b2", "#56b4e9", "#e69f00", "#d55e00")
STEPS = 10_001  # a stage of the notebook
D = 30


def _legend(canvas: Figure, ax: Axes, columns: int) -> None:
    canvas.legend(
        *ax.get_legend_handles_labels(),
        loc="outside lower center", ncols=columns, frameon=False, fontsize=9,
    )  # fmt: skip


def _grid(steps: int, count: int = 300) -> list[int]:
    """Steps to record, evenly spaced on a log axis, and both ends."""
    return [0, *np.geomspace(1, steps, count).astype(int).tolist(), steps]


def _step(units: float) -> StepSize:
    """A step size in units of 1/d."""
    return StepSize(units / D)


@figure(
    "sam-5",
    "The potential of diagonal networks goes from the l1 to the l2 norm as their start grows",
    "understanding_sam, Figure 5",
)
def potential(
    alphas: Sequence[float] = (1e-4, 0.1, 0.5, 2.0), seed: int = 42, count: int = 60
) -> Figure:
    """Level lines of phi_alpha in the plane, and the norms of the interpolators that minimise it.

    Args:
        alphas: scales of the start, > 0, at most four; the level lines pass through (1, 0).
        seed: of the sparse regression (n = 3, d = 20) of the right panel.
        count: scales from 1e-6 to 30 in the right panel.
    """
    canvas = Figure(figsize=(9.6, 4.6), layout="constrained")
    left, right = canvas.subplots(1, 2)
    side = np.linspace(-1.1, 1.1, 401)
    for alpha, color in zip(alphas, SCALES, strict=False):
        phi = np.array([hyperbolic_entropy([x], alpha) for x in side])
        level = hyperbolic_entropy([1.0], alpha)
        left.contour(side, side, np.add.outer(phi, phi), [level], colors=[color], linewidths=1.8)
        left.plot([], [], color=color, lw=1.8, label=f"$\\alpha = {alpha:g}$")
    angle = np.linspace(0, 2 * np.pi, 201)
    left.plot(np.cos(angle), np.sin(angle), ":", color=INK, lw=1.2)
    left.plot(np.cos(angle[::50]), np.sin(angle[::50]), ":", color=INK, lw=1.2)
    left.plot([], [], ":", color=INK, lw=1.2, label="$\\ell_1$ and $\\ell_2$")
    left.set_aspect("equal")
    left.legend(frameon=False, fontsize=9, loc="center")
    left.set_xticks([-1, 0, 1])
    left.set_yticks([-1, 0, 1])
    title = "level lines $\\phi_\\alpha(\\beta) = \\phi_\\alpha(1, 0)$"
    clean(left, "$\\beta_1$", "$\\beta_2$", title)
    _norms(right, seed, np.geomspace(1e-6, 30, count))
    return canvas


def _norms(ax: Axes, seed: int, alphas: np.ndarray) -> None:
    problem = problems.sparse_regression(seed, 3, 20)
    X, y = problem.X.numpy(), problem.y.numpy()
    sparse, short = min_l1_interpolator(X, y).value, min_distance_interpolator(X, y).solution
    betas = np.array([min_potential_interpolator(X, y, alpha).solution for alpha in alphas])
    for norm, least, color in (
        (1, sparse, ONE_SAM), (2, float(np.linalg.norm(short)), "#d55e00"),
    ):  # fmt: skip
        ratio = np.linalg.norm(betas, norm, axis=-1) / least
        label = f"$\\|\\beta\\|_{norm}$ over the least of an interpolator"
        ax.semilogx(alphas, ratio, color=color, lw=1.8, label=label)
    ax.axhline(1, color=INK, lw=0.8, ls=":")
    ax.legend(frameon=False, fontsize=9)
    clean(
        ax,
        "$\\alpha$",
        "ratio",
        "the interpolator that minimises $\\phi_\\alpha$, $n = 3$, $d = 20$",
    )


@figure(
    "sam-6",
    "1-SAM generalises better than n-SAM and ERM on the authors' sparse regression",
    "understanding_sam, Figure 6",
)
def sparse_regression(step: float = 10, rho: float = 0.1, u: float = 0.1) -> Figure:
    """Test and training loss of ERM, n-SAM and 1-SAM on the data of the authors' notebook.

    No cell of the notebook is labelled as this figure. Step and start are those of the cell
    closest to it; the radius, the same for both methods as the text says, is ours.

    Args:
        step: step size in units of 1/d.
        rho: radius in the notebook's convention.
        u: start of the first layer, alpha = u / 2.
    """
    train, test = problems.authors_sparse_regression(u)
    canvas = Figure(figsize=(9.6, 4.2), layout="constrained")
    left, right = canvas.subplots(1, 2)
    rules: dict[str, tuple[Rule, str]] = {
        "ERM": (GD(_step(step)), ERM),
        "n-SAM": (NSAM(_step(step), rho=rho), N_SAM),
        "1-SAM": (OneSAM(_step(step), rho=2 * rho), ONE_SAM),
    }
    for name, (rule, color) in rules.items():
        found = run(train, rule, STEPS, record=_grid(STEPS))
        for ax, problem in ((left, test), (right, train)):
            _losses(ax, found.times, problem.value(found.w), color, name)
    for ax, kind in ((left, "test"), (right, "training")):
        ax.set_xscale("log")
        ax.set_xlim(1, STEPS)
        clean(ax, "step", f"{kind} loss", kind)
    _legend(canvas, left, 3)
    title = f"$\\alpha = {u / 2:g}$, $\\gamma = {step:g}/d$, $\\rho = {rho:g}$ (ours)"
    canvas.suptitle(title, fontsize=11)
    return canvas


def _losses(
    ax: Axes, times: Iterable[int], loss: Tensor, color: str, label: str, style: str = "-"
) -> None:
    ax.semilogy(np.asarray(times), loss.numpy(), style, color=color, lw=1.6, label=label)


@figure(
    "sam-7",
    "On twelve points SAM finds simpler functions than gradient descent, whatever its start",
    "understanding_sam, Figure 7",
)
def relu_functions(steps: int = 100_000, rho: float = 0.3, seed: int = 42) -> Figure:
    """Functions of five networks of 100 ReLUs, after gradient descent and after normalised SAM.

    As in the claim sam/relu-regression both have the schedule of the authors' SAM, lr 5e-5 falling
    linearly, and a last third of plain gradient descent to fit the points.

    Args:
        steps: with the schedule; the authors went up to 10^6.
        rho: radius of SAM.
        seed: of the five starts.
    """
    problem = problems.relu_regression(seed)
    radii = torch.tensor([0.0, rho], dtype=torch.float64).reshape(2, 1, 1, 1)
    start = problem.start.expand(2, -1, -1, -1)
    sam = L2SAM(LinearStep(5e-5, total=steps), rho=radii)
    found = run(problem, sam, steps, start=start, record=(steps,)).final
    fit = run(problem, GD(StepSize(5e-5)), steps // 3, start=found, record=(steps // 3,)).final
    x = torch.linspace(-1.45, 1.6, 800, dtype=torch.float64)
    values, variation = problems.relu_function(fit, x), problems.slope_variation(fit).mean(-1)
    canvas = Figure(figsize=(9.6, 4.4), layout="constrained")
    names = ("ERM", f"SAM, $\\rho = {rho:g}$")
    for ax, name, functions, total in zip(
        canvas.subplots(1, 2, sharey=True), names, values, variation, strict=True
    ):
        for f, color in zip(functions, (*SCALES, "#009e73"), strict=True):
            ax.plot(x, f, color=color, lw=1.2)
        ax.plot(relu.INPUTS, relu.TARGETS, "o", color=INK, ms=5, zorder=3)
        clean(ax, "$x$", "", f"{name}: mean total variation of $f'$ {float(total):.0f}")
    canvas.axes[0].set_ylabel("$f(x)$")
    canvas.axes[0].set_ylim(-4, 5)
    canvas.suptitle(f"five starts, {steps:,} steps", fontsize=11)
    return canvas


@figure(
    "sam-13",
    "Stochastic forms generalise better than full-batch ones, 1-SAM's best of all",
    "understanding_sam, Figure 13",
)
def stochastic(
    alpha: float = 0.01, step: float = 1.0, rho: float = 1.0, steps: int = 30_000, seed: int = 42
) -> Figure:
    """Expected and training loss of the full-batch and the stochastic methods, over 20 problems.

    Medians: on one problem chance decides. d = 30, n = 20 and three non-zeros, as captioned.

    Args:
        alpha: scale of the start, the caption's.
        step: gamma in units of 1/d, the caption's.
        rho: radius in units of 1/d, the caption's; here that of the paper's own l_i.
        steps: of each run.
        seed: of the first problem and of the examples drawn.
    """
    seeds = range(20 * seed, 20 * seed + 20)
    problem = stack([problems.sparse_regression(s, alpha=alpha) for s in seeds])
    target = torch.stack([problems.sparse_target(s) for s in seeds])
    gd, radius = GD(_step(step)), rho / D
    n_sam, one_sam = NSAM(_step(step), rho=radius), OneSAM(_step(step), rho=radius)
    rules: Mapping[str, tuple[Rule, str, str]] = {
        "ERM": (gd, ERM, "-"),
        "n-SAM": (n_sam, N_SAM, "-"),
        "1-SAM": (one_sam, ONE_SAM, "-"),
        "SGD": (Stochastic(gd, seed), ERM, "--"),
        "stochastic n-SAM": (Stochastic(n_sam, seed, ascent_on_all=True), N_SAM, "--"),
        "stochastic 1-SAM": (Stochastic(one_sam, seed), ONE_SAM, "--"),
    }
    canvas = Figure(figsize=(13.2, 4.6), layout="constrained")
    panels = canvas.subplots(1, 3)
    erm: Tensor | None = None
    for name, (rule, color, style) in rules.items():
        found = run(problem, rule, steps, record=_grid(steps, 120))
        expected = ((DiagonalDifference.predictor(found.w) - target) ** 2).sum(-1) / 4
        erm = expected if erm is None else erm
        series = (expected, expected / erm, problem.value(found.w))
        for ax, loss in zip(panels, series, strict=True):
            _losses(ax, found.times, loss.median(-1).values, color, name, style)
    names = ("expected loss", "expected loss over ERM's", "training loss")
    for ax, label in zip(panels, names, strict=True):
        ax.set_xscale("log")
        ax.set_xlim(100, steps)
        clean(ax, "step", label, f"{label}, median of 20 problems")
    panels[1].set_yscale("linear")
    panels[1].set_ylim(0.5, 1.5)
    _legend(canvas, panels[0], 6)
    title = f"$\\alpha = {alpha:g}$, $\\gamma = {step:g}/d$, $\\rho = {rho:g}/d$"
    canvas.suptitle(title, fontsize=11)
    return canvas


@figure(
    "sam-14",
    "1-SAM with its best radius; n-SAM's gain over ERM is that of a smaller step",
    "understanding_sam, Figure 14",
)
def radius_search(count: int = 25, u: float = 0.1) -> Figure:
    """Test loss at the end over the radius, for n-SAM at 10/d, as it was run, and at 15/d.

    The caption says gamma = 15/d for all methods (claim sam/erratum-figure-14).

    Args:
        count: radii from 0.001 to 1, in the notebook's convention.
        u: start of the first layer, alpha = u / 2.
    """
    radii = np.geomspace(1e-3, 1, count)
    n_sam = {
        step: _ends(u, [NSAM(_step(step), rho=float(rho)) for rho in radii]) for step in (10, 15)
    }
    erm = {step: _ends(u, [GD(_step(step))])[0] for step in (10, 15)}
    one_sam = _ends(u, [OneSAM(_step(15), rho=2 * float(rho)) for rho in radii])
    canvas = Figure(figsize=(9.6, 4.6), layout="constrained")
    left, right = canvas.subplots(1, 2)
    left.plot(radii, one_sam, "o-", color=ONE_SAM, ms=3.5, lw=1.4, label="1-SAM, $15/d$")
    for ax in (left, right):
        for step, style in ((10, "--"), (15, "-")):
            label = f"n-SAM, ${step}/d$" + (" (as run)" if step == 10 else "")
            ax.plot(radii, n_sam[step], "o" + style, color=N_SAM, ms=3.5, lw=1.4, label=label)
            label = f"ERM, ${step}/d$" + (" (as run)" if step == 15 else "")
            ax.axhline(erm[step], color=ERM, lw=1.4, ls=style, label=label)
        ax.set_xscale("log")
    left.set_yscale("log")
    right.set_xlim(right=0.4)
    right.set_ylim(0.0155, 0.0185)
    clean(left, "radius $\\rho$", "test loss after the last step", "all methods")
    clean(right, "radius $\\rho$", "", "n-SAM and ERM, enlarged")
    _legend(canvas, left, 5)
    return canvas


def _ends(u: float, rules: Iterable[Rule]) -> list[float]:
    """Test loss after the notebook's number of steps; NaN where the run diverged."""
    train, test = problems.authors_sparse_regression(u)
    losses = []
    for rule in rules:
        try:
            losses.append(float(test.value(run(train, rule, STEPS, record=[STEPS]).final)))
        except SubjectFailed:
            losses.append(float("nan"))
    return losses


@figure(
    "sam-15",
    "1-SAM leaves the minimum that gradient descent found; gradient descent keeps 1-SAM's",
    "understanding_sam, Figure 15",
)
def switching(step: float = 1.0, rho: float = 0.175, late_rho: float = 10.0) -> Figure:
    """Losses of ERM, ERM then 1-SAM and 1-SAM then ERM; and on the line between two ends.

    Args:
        step: gamma in units of 1/d, the notebook's.
        rho: radius of 1-SAM from the start, the paper's, in the notebook's convention.
        late_rho: radius of 1-SAM after ERM, the paper's.
    """
    train, test = problems.authors_sparse_regression(0.1)
    gd = GD(_step(step))
    first, late = (OneSAM(_step(step), rho=2 * r) for r in (rho, late_rho))
    runs = {
        "ERM": (_staged(train, gd, gd), ERM, "-"),
        "ERM, then 1-SAM": (_staged(train, gd, late), ONE_SAM, "-"),
        "1-SAM, then ERM": (_staged(train, first, gd), "#d55e00", "--"),
    }
    canvas = Figure(figsize=(13.2, 4.4), layout="constrained")
    panels = canvas.subplots(1, 3)
    for name, (stages, color, style) in runs.items():
        times = np.concatenate([stages[0].times, STEPS + stages[1].times])
        w = torch.cat([stage.w for stage in stages])
        for ax, problem in zip(panels, (test, train), strict=False):
            _losses(ax, times, problem.value(w), color, name, style)
    for ax, kind in zip(panels, ("test", "training"), strict=False):
        ax.axvline(STEPS, color=MUTED, lw=0.8, ls=":")
        clean(ax, "step", f"{kind} loss", f"{kind}; dotted: the switch")
    _line(panels[2], train, test, runs["ERM"][0][0].final, runs["ERM, then 1-SAM"][0][1].final)
    _legend(canvas, panels[0], 3)
    title = f"$\\alpha = 0.05$, $\\gamma = {step:g}/d$, $\\rho = {rho:g}$, after ERM ${late_rho:g}$"
    canvas.suptitle(title, fontsize=11)
    return canvas


def _staged(problem: Problem, first: Rule, second: Rule) -> tuple[Trajectory, Trajectory]:
    """A run with one rule, and one with another from where it ended."""
    grid = range(0, STEPS + 1, 25)
    before = run(problem, first, STEPS, record=[*grid, STEPS])
    return before, run(problem, second, STEPS, start=before.final, record=[*grid, STEPS])


def _line(ax: Axes, train: Problem, test: Problem, erm: Tensor, end: Tensor) -> None:
    """Losses on the line through two points, from one distance before to one beyond."""
    position = torch.linspace(-1, 2, 301, dtype=torch.float64)
    w = erm + position.reshape(-1, 1, 1) * (end - erm)
    for problem, name, style in ((test, "test loss", "-"), (train, "training loss", "--")):
        ax.semilogy(position, problem.value(w), style, color=INK, lw=1.6, label=name)
    for at in (0, 1):
        ax.axvline(at, color=MUTED, lw=0.8, ls=":")
    ax.set_ylim(bottom=2e-7)
    ax.legend(frameon=False, fontsize=9, loc="lower left")
    clean(ax, "position on the line", "loss", "from ERM (0) to ERM, then 1-SAM (1)")
