"""Figures of minor_first, redrawn from the settings of their captions.

The paper's text was not at hand: starts, horizons and whatever else a caption leaves out are ours,
and each title says what it was drawn with.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from limitpoint.engines.flow import flow
from limitpoint.engines.run import run
from limitpoint.optimizers import GD, L2SAM, LinfSAM, Memoryless
from limitpoint.optimizers.schedules import StepSize
from limitpoint.problems import one_example
from limitpoint.problems.models import DiagonalProduct
from limitpoint.problems.problem import Problem, stack
from limitpoint.theory import amplification
from limitpoint.views.figures._registry import figure
from limitpoint.views.figures.style import INK, MUTED, clean

# Okabe and Ito's colours and a grey, told apart by every common kind of colour vision.
COORDINATES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#4d4d4d")
ZERO = "#6b7280"
PAIR = (1.0, 2.0)


def _color(winner: int | None) -> str:
    return ZERO if winner is None else COORDINATES[winner]


def _starts(values: Sequence[float]) -> list[tuple[float, float]]:
    return [(a, b) for a in values for b in values]


@figure(
    "minor-first-1",
    "From the same starts GD, linf-SAM and l2-SAM lead a depth-two network to different places",
    "minor_first, Figure 1",
)
def predictors(
    step_size: float = 0.3, rho: float = 1.0, steps: int = 400, alphas: Sequence[float] = ()
) -> Figure:
    """Predictors beta(t) of the discrete algorithms on mu = (1, 2).

    Args:
        step_size: eta > 0, the caption's.
        rho: radius > 0, the caption's.
        steps: how many are drawn.
        alphas: starts of both layers, all pairs of them; ours, as the caption names none.
    """
    pairs = _starts(alphas or (0.5, 0.8, 1.15, 1.5))
    problem, eta = stack([one_example(PAIR, pair) for pair in pairs]), StepSize(step_size)
    rules = {
        f"GD, $\\eta = {step_size}$": GD(eta),
        f"$\\ell_\\infty$-SAM, $\\eta = {step_size}$, $\\rho = {rho:g}$": LinfSAM(eta, rho=rho),
        f"$\\ell_2$-SAM, $\\eta = {step_size}$, $\\rho = {rho:g}$": L2SAM(eta, rho=rho),
    }
    canvas = Figure(figsize=(11.4, 4.2), layout="constrained")
    panels = canvas.subplots(1, 3, sharex=True, sharey=True)
    for ax, (title, rule) in zip(panels, rules.items(), strict=True):
        found = run(problem, rule, steps, record=range(steps + 1), engine="torch")
        beta = DiagonalProduct.predictor(found.w).numpy()
        for path in beta.transpose(1, 0, 2):
            ends = _color(int(path[-1].argmax()) if path[-1].max() > 0.05 else None)
            ax.plot(*path.T, ".-", color=ends, ms=2, lw=0.8)
            ax.plot(*path[0], "o", color="white", mec=INK, ms=5, zorder=3)
        ax.axline((0, 0), slope=1, color=MUTED, lw=0.7, ls=":")
        ax.set_aspect("equal")
        clean(ax, "$\\beta_1$", "$\\beta_2$", title)
    panels[0].set_xlim(-0.3, 8)
    panels[0].set_ylim(-0.3, 8)
    _winners_legend(canvas, "after the last step: ")
    canvas.suptitle(f"$\\mu = (1, 2)$, {steps} steps from the circles", fontsize=11)
    return canvas


def _winners_legend(canvas: Figure, prefix: str) -> None:
    names = {0: "$\\beta_1$ leads", 1: "$\\beta_2$ leads", None: "$\\beta$ near zero"}
    handles = [
        canvas.axes[0].plot([], [], color=_color(winner), lw=2, label=prefix + name)[0]
        for winner, name in names.items()
    ]
    canvas.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)


@figure(
    "minor-first-2",
    "Gradient flow always ends at the major coordinate; linf-SAM flow where its start says",
    "minor_first, Figure 2",
)
def flows(rho: float = 1.0, alphas: Sequence[float] = (), end: float = 1.6) -> Figure:
    """Predictors beta(t) of gradient flow and linf-SAM flow on mu = (1, 2), in closed form.

    Args:
        rho: radius > 0, the caption's.
        alphas: starts of both layers, all pairs of them; ours.
        end: rescaled time up to which the paths are drawn, > 0.
    """
    mu = torch.tensor(PAIR, dtype=torch.float64)
    tau = torch.linspace(0, end, 400, dtype=torch.float64)
    canvas = Figure(figsize=(9.2, 4.8), layout="constrained")
    left, right = canvas.subplots(1, 2, sharex=True, sharey=True)
    for pair in _starts(alphas or tuple(rho * f for f in (0.4, 0.7, 0.92, 1.08, 1.3, 1.6))):
        alpha = torch.tensor(pair, dtype=torch.float64)
        winner = amplification.linf_winner(alpha, mu, rho, 2)
        sam = amplification.linf_weights(tau, alpha, mu, rho, 2)
        gradient = alpha * torch.exp(mu * tau.unsqueeze(-1))
        for ax, w, end_at in ((left, gradient, 1), (right, sam, winner)):
            ax.plot(*(w**2).T.numpy(), color=_color(end_at), lw=1.1)
            ax.plot(*alpha**2, "o", color="white", mec=INK, ms=4, zorder=3)
    for edge in (right.axhline, right.axvline):
        edge(rho**2, color=INK, lw=0.8, ls="--")
    right.set_xlim(-0.1 * rho**2, 5 * rho**2)
    right.set_ylim(-0.1 * rho**2, 5 * rho**2)
    for ax in (left, right):
        ax.set_aspect("equal")
    clean(left, "$\\beta_1$", "$\\beta_2$", "gradient flow")
    title = f"$\\ell_\\infty$-SAM flow, $\\rho = {rho:g}$ (dashed: $\\beta_j = \\rho^2$)"
    clean(right, "$\\beta_1$", "$\\beta_2$", title)
    _winners_legend(canvas, "in the limit: ")
    canvas.suptitle("$\\mu = (1, 2)$, from the circles", fontsize=11)
    return canvas


@figure(
    "minor-first-3",
    "The rescaled l2-SAM flow amplifies the minor coordinates first and the major ones last",
    "minor_first, Figure 3",
)
def amplified(
    mu: Sequence[float] = (4, 5, 6, 7, 8), rho: float = 1.0, alpha: float = 0.36, end: float = 1.6
) -> Figure:
    """Coordinates of beta over rescaled time, and the mean drive that says which one leads.

    Args:
        mu: the example, the caption's; at most six entries.
        rho: radius > 0, the caption's.
        alpha: start of both layers; ours, in regime 2.
        end: rescaled time, > 0.
    """
    problem = one_example(mu, alpha)
    rule, entries = L2SAM(rho=rho), problem.X[0]
    rate = amplification.slope(problem, rule)
    found = flow(
        problem,
        rule,
        np.linspace(0, end, 200),
        speed=amplification.rescaling(rate),
        integrals={"S": lambda w: rate(w) * (1 / amplification.weighted_norm(problem, w))},
    )
    tau, S = torch.from_numpy(found.times[1:]).unsqueeze(-1), found.integrals["S"][1:]
    beta = DiagonalProduct.predictor(found.w)[1:]
    half = (amplification.mean_drive(tau, S, rho) / 2)[:, 0]
    canvas = Figure(figsize=(10.4, 4.2), layout="constrained")
    left, right = canvas.subplots(1, 2, sharex=True)
    for j, entry in enumerate(entries.tolist()):
        left.plot(
            tau, beta[:, j], color=COORDINATES[j], lw=1.8, label=f"$\\mu_{j + 1} = {entry:g}$"
        )
        right.axhline(entry, color=COORDINATES[j], lw=1.2)
    right.plot(tau, half, color=INK, lw=1.8, label="$\\bar c(\\tau) / 2$")
    for ax in (left, right):
        _shade(ax, tau[:, 0].numpy(), beta.argmax(-1))
    left.set_yscale("log")
    right.set_ylim(min(entries) - 1, max(entries) + 2)
    left.legend(frameon=False, fontsize=9)
    right.legend(frameon=False, fontsize=9, loc="upper left")
    clean(left, "rescaled time $\\tau$", "$\\beta_j$", "predictor; shade: its largest coordinate")
    clean(right, "rescaled time $\\tau$", "$\\mu_j$", "the nearest $\\mu_j$ to $\\bar c / 2$ leads")
    canvas.suptitle(f"$\\ell_2$-SAM flow, $\\rho = {rho:g}$, $\\alpha = {alpha:g}$", fontsize=11)
    return canvas


def _shade(ax: Axes, x: np.ndarray, index: Tensor) -> None:
    """Colour the background by the coordinate, from each point to the next."""
    edges = [0, *(np.flatnonzero(np.diff(index.numpy())) + 1).tolist(), len(x) - 1]
    for low, high in pairwise(edges):
        ax.axvspan(x[low], x[high], color=COORDINATES[int(index[low])], alpha=0.22, lw=0)


@figure(
    "minor-first-4",
    "Loss under gradient flow and l2-SAM flow: as captioned the major coordinate leads all along",
    "minor_first, Figure 4",
)
def losses(
    mu: Sequence[float] = (1, 2, 3, 4, 5, 6),
    alpha: float = 0.35,
    rhos: Sequence[float] = (0.1, 1.0),
) -> Figure:
    """Loss over time; shades mark the coordinate with the highest growth.

    Under the equations as we read them the caption's rho = 0.1 is regime 3, where coordinate 6 is
    fastest from the start; rho = 1 is regime 2 (claim minor-first/erratum-figure-4).

    Args:
        mu: the example, the caption's; at most six entries.
        alpha: start of both layers, the caption's.
        rhos: radii of the panels after the first; 0.1 is the caption's.
    """
    problem = one_example(mu, alpha)
    rules: dict[str, tuple[Memoryless, float]] = {"gradient flow": (GD(), 0.0)}
    for rho in rhos:
        note = " (the caption's)" if rho == 0.1 else ""
        rules[f"$\\ell_2$-SAM flow, $\\rho = {rho:g}${note}"] = (L2SAM(rho=rho), rho)
    canvas = Figure(figsize=(4.0 * len(rules), 4.2), layout="constrained")
    panels = np.atleast_1d(canvas.subplots(1, len(rules), sharex=True, sharey=True))
    for ax, (title, (rule, rho)) in zip(panels, rules.items(), strict=True):
        _loss_panel(ax, problem, rule, rho)
        clean(ax, "time $t$", "loss", title)
    handles = [
        panels[0].plot(
            [], [], color=COORDINATES[j], alpha=0.5, lw=7, label=f"$\\mu_{j + 1} = {m:g}$"
        )[0]
        for j, m in enumerate(mu)
    ]
    canvas.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False, fontsize=9)
    canvas.suptitle(f"$\\alpha = {alpha:g}$; shade: the coordinate that grows fastest", fontsize=11)
    return canvas


def _loss_panel(ax: Axes, problem: Problem, rule: Memoryless, rho: float) -> None:
    """The loss while it is above 1e-16, on the clock ds = n(beta)^2 dtau: margins rise evenly."""
    rate = amplification.slope(problem, L2SAM(rho=rho))

    def pace(w: Tensor) -> Tensor:
        return amplification.weighted_norm(problem, w) ** -2

    def unit(w: Tensor) -> Tensor:
        return torch.ones(1, dtype=w.dtype)

    found = flow(
        problem,
        rule,
        np.linspace(0, 40, 1600),
        speed=amplification.rescaling(rate, pace),
        integrals={"t": unit},
        rtol=1e-7,
    )
    t, mu = found.integrals["t"][1:, 0].numpy(), problem.X[0]
    if rho > 0:
        fastest = amplification.l2_growth(problem, found.w[1:], rho).argmax(-1)
    else:
        fastest = mu.argmax().expand(len(t))
    loss = problem.value(found.w[1:]).numpy()
    seen = (t > 1e-2) & (t < 1e8) & (loss > 1e-16)
    _shade(ax, t[seen], fastest[torch.from_numpy(seen)])
    ax.loglog(t[seen], loss[seen], color=INK, lw=1.8)
