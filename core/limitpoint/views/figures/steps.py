"""Figures of the field's theorems about steps: edges, cycles, boxes, the length of weights."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure

from limitpoint import optimizers, problems
from limitpoint.engines.run import play, run
from limitpoint.optimizers.schedules import StepSize
from limitpoint.problems import losses, models
from limitpoint.problems.problem import Problem
from limitpoint.theory import moments
from limitpoint.views.figures._registry import figure
from limitpoint.views.figures.style import ACCENT, INK, MUTED, WARM, clean

COLORS = (ACCENT, WARM, INK, MUTED)


@figure(
    "stability-adaptive-edge",
    "Adam's preconditioned sharpness comes to (2 + 2 beta1) / ((1 - beta1) eta) and hovers there",
    "Cohen et al. 2022 (arXiv:2207.14484)",
)
def adaptive_edge(steps: int = 1500, eta: float = 0.01) -> Figure:
    """Eta lambda / sqrt(v) over time on a quadratic, for three beta1.

    Args:
        steps: of each run.
        eta: constant step size.
    """
    canvas = Figure(figsize=(7.0, 4.2), layout="constrained")
    ax = canvas.subplots()
    problem = problems.axis_regression([1.0])
    for beta1, color in zip((0.0, 0.5, 0.9), COLORS, strict=False):
        rule = optimizers.Adam(StepSize(eta), beta1=beta1, beta2=0.95)
        w = run(problem, rule, steps, start=0.5 + 0 * problem.start, record=range(steps + 1)).w
        v = moments.moving_average(w[:, 0] ** 2, 0.95)
        edge = (2 + 2 * beta1) / (1 - beta1)
        ax.plot(eta / v.sqrt(), color=color, lw=1.0, label=f"beta1 = {beta1}: edge {edge:.3g}")
        ax.axhline(edge, color=color, ls=":", lw=1.2)
    ax.set_yscale("log")
    ax.legend(frameon=False)
    clean(ax, "step", "eta lambda / sqrt(v)", "dotted: the edge of a frozen v")
    return canvas


@figure(
    "quadratic-sam-two-cycle",
    "SAM on a quadratic ends in a cycle of period two along the steepest axis",
    "Bartlett, Long and Bousquet 2022 (arXiv:2210.01513)",
)
def two_cycle(rho: float = 0.1, steps: int = 60) -> Figure:
    """Both coordinates for eta lambda_1 = 1.6, and the cycle's height.

    Args:
        rho: radius.
        steps: how many.
    """
    problem = problems.axis_regression([2.0, 0.5])
    eta = 1.6 / 2.0
    w = run(problem, optimizers.L2SAM(StepSize(eta), rho=rho), steps, record=range(steps + 1)).w
    height = eta * rho * 2.0 / (2 - eta * 2.0)
    canvas = Figure(figsize=(7.0, 3.6), layout="constrained")
    ax = canvas.subplots()
    ax.plot(w[:, 0], "o-", ms=3, lw=0.7, color=ACCENT, label="steepest axis")
    ax.plot(w[:, 1], color=WARM, label="the other axis")
    for sign in (-1, 1):
        ax.axhline(sign * height, color=INK, ls=":", lw=1)
    ax.legend(frameon=False)
    title = f"dotted: eta rho lambda / (2 - eta lambda) = {height:.2g}"
    clean(ax, "step", "coordinate", title)
    return canvas


@figure(
    "lion-box",
    "Lion's weights fill the box of radius 1 / lambda and stay in it",
    "Chen, Liu, Liang and Liu 2023 (arXiv:2310.05898)",
)
def box(steps: int = 3000, decay: float = 1.0, seed: int = 42) -> Figure:
    """Every entry times lambda over time, from inside and from outside.

    Args:
        steps: how many.
        decay: lambda.
        seed: of the data.
    """
    problem = problems.support_simplex(seed, d=8, n=20)
    outside = 2.5 / decay * torch.linspace(-1, 1, 8, dtype=torch.float64)
    rule = optimizers.Lion(StepSize(0.5, 0.7), weight_decay=decay)
    starts = torch.stack([problem.start, outside])
    found = run(problem, rule, steps, start=starts)
    canvas = Figure(figsize=(7.6, 3.8), layout="constrained")
    for ax, which, title in zip(
        canvas.subplots(1, 2, sharey=True), (0, 1), ("from zero", "from outside"), strict=True
    ):
        ax.plot(found.times, decay * found.w[:, which], color=ACCENT, lw=0.9)
        ax.axhspan(-1, 1, color=MUTED, alpha=0.15, lw=0)
        ax.set_xscale("symlog")
        clean(ax, "step", "lambda w", title)
    return canvas


@figure(
    "decay-equilibrium",
    "AdamW's weights come to a length and a turning rate that step size and decay decide",
    "Kosson, Messmer and Jaggi 2024 (arXiv:2305.17212)",
)
def equilibrium(steps: int = 600, seed: int = 42, coordinates: int = 1000) -> Figure:
    """RMS of the weights and the angle of each step under gradients without a mean.

    Args:
        steps: of each run.
        seed: of the gradients.
        coordinates: how many weights.
    """
    noise = torch.Generator().manual_seed(seed)
    signs = 2 * torch.randint(0, 2, (steps, coordinates), generator=noise).double() - 1
    canvas = Figure(figsize=(7.6, 3.6), layout="constrained")
    size, angle = canvas.subplots(1, 2)
    eta, beta1 = 0.01, 0.9
    for product, color in zip((0.01, 0.03, 0.1), COLORS, strict=False):
        rule = optimizers.Adam(StepSize(eta), beta1=beta1, beta2=0.95, weight_decay=product / eta)
        w, a = play(rule, signs).w[1:], 1 - product
        square = (1 - beta1) * (1 + a * beta1) / ((1 + beta1) * (1 - a * beta1) * (1 - a**2))
        cosine = (a + beta1) / (1 + a * beta1)
        size.plot((w**2).mean(-1).sqrt(), color=color)
        size.axhline(eta * square**0.5, color=color, ls=":")
        turned = torch.arccos(torch.cosine_similarity(w[1:], w[:-1], dim=-1))
        angle.plot(torch.rad2deg(turned), color=color, lw=0.9, label=f"eta lambda = {product}")
        angle.axhline(np.degrees(np.arccos(cosine)), color=color, ls=":")
    angle.legend(frameon=False)
    size.set_ylim(0)
    angle.set_ylim(0, 15)
    clean(size, "step", "root mean square of w", "length")
    clean(angle, "step", "degrees a step", "rotation; dotted: derived")
    return canvas


@figure(
    "flat-minima-drift",
    "SAM slides along the minima of (uv - 1)^2 / 2 to the flattest one",
    "Wen, Ma and Li 2023 (arXiv:2211.05729); the factor derived",
)
def drift(rho: float = 0.02, time: float = 0.8) -> Figure:
    """q = u^2 - v^2 against eta rho^2 t, beside the flow for that eta and for eta = 0.

    Args:
        rho: radius.
        time: eta rho^2 t at the end.
    """
    canvas = Figure(figsize=(7.0, 4.0), layout="constrained")
    ax = canvas.subplots()
    one = torch.ones(1, dtype=torch.float64)
    start = torch.tensor([[2.0], [0.505]], dtype=torch.float64)
    problem = Problem(
        "hyperbola", models.DiagonalProduct(), losses.Squared(), one.reshape(1, 1), one, start
    )
    tau = np.linspace(0, time, 400)
    for eta, color in zip((0.02, 0.1, 0.2), COLORS, strict=False):
        steps = round(time / (eta * rho**2))
        record = np.unique(np.linspace(0, steps, 200).astype(int))
        found = run(problem, optimizers.L2SAM(StepSize(eta), rho=rho), steps, record=record)
        q = (found.w[:, 0] ** 2 - found.w[:, 1] ** 2).flatten()
        ax.plot(found.times * eta * rho**2, q, color=color, lw=2.5, alpha=0.5, label=f"eta = {eta}")
        flow = [3.75]
        for width in np.diff(tau):
            here = flow[-1]
            flow.append(here - 2 * width * here / (1 - eta * np.sqrt(4 + here**2) / 2) ** 2)
        ax.plot(tau, flow, color=color, ls=":", lw=1.3)
    ax.plot(tau, 3.75 * np.exp(-2 * tau), color=INK, lw=0.8, label="eta = 0")
    ax.legend(frameon=False)
    clean(ax, "eta rho^2 t", "u^2 - v^2", "dotted: derived; zero is the flattest minimum")
    return canvas
