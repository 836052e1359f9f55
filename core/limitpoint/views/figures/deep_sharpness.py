"""Figures 2, 3 and 19 of understanding_sam: sharpness, at small scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from limitpoint.deep import m_sharpness, small_mnist
from limitpoint.engines.run import run
from limitpoint.optimizers import DeepSAM
from limitpoint.views.figures._registry import figure
from limitpoint.views.figures.deep import ERM, N_SAM, OTHER, SAM, SCALE, band, final
from limitpoint.views.figures.style import clean


@figure("sam-2", "A flatter minimum can generalise worse", "understanding_sam, Figure 2")
def radii_and_ranks(
    radii: Sequence[float] = (0.05, 0.1, 0.2, 0.4, 0.6), seed: int = 42, runs: int = 8
) -> Figure:
    """m-sharpness by radius of two ERM and two SAM solutions, each with its test error.

    Args:
        radii: of the balls.
        seed: of the runs.
        runs: how many.
    """
    canvas = Figure(figsize=(9.6, 3.8), layout="constrained")
    task = small_mnist(seed, runs)
    ends = {
        "ERM": final(task, task.erm()),
        "ERM, 1000 constant steps": run(task.train, task.erm(task.rate), 1000, record=[1000]).final,
        "60-SAM": final(task, DeepSAM(task.decaying, rho=0.4)),
        "1-SAM, $\\rho = .1$": final(task, DeepSAM(task.decaying, rho=0.1, m=1)),
    }
    for ax, m in zip(canvas.subplots(1, 2), (20, 60), strict=True):
        for (name, w), color in zip(ends.items(), (ERM, N_SAM, OTHER, SAM), strict=True):
            label = f"{name}: {float(task.test_error(w).mean()):.1f}%"
            sharp = np.stack([m_sharpness(task.train, w, rho, m) for rho in radii])
            band(ax, radii, sharp, color, label, "o-")
        ax.set_yscale("log")
        ax.legend(frameon=False, fontsize=8, title="test error")
        clean(ax, "$\\rho$", f"{m}-sharpness", SCALE)
    return canvas


@figure("sam-3", "One ascent step falls short of many", "understanding_sam, Figure 3")
def shortfall(
    sizes: Sequence[int] = (4, 10, 20, 60, 150, 300), seed: int = 42, runs: int = 4
) -> Figure:
    """m-sharpness by twenty steps over that by one, by m, for ERM and 1-SAM.

    Args:
        sizes: m, divisors of 300.
        seed: of the runs.
        runs: how many.
    """
    canvas = Figure(figsize=(9.6, 3.8), layout="constrained")
    task = small_mnist(seed, runs)
    ends = {
        "ERM": final(task, task.erm()),
        "1-SAM": final(task, DeepSAM(task.decaying, rho=0.2, m=1)),
    }
    for ax, rho in zip(canvas.subplots(1, 2), (0.1, 0.3), strict=True):
        for (name, w), color in zip(ends.items(), (ERM, SAM), strict=True):
            ratio = [
                m_sharpness(task.train, w, rho, m) / m_sharpness(task.train, w, rho, m, steps=1)
                for m in sizes
            ]
            band(ax, sizes, np.stack(ratio), color, name, "o-")
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xticks(sizes, [str(m) for m in sizes])
        ticks = [1, 1.5, 2, 3, 5]
        ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
        ax.legend(frameon=False, fontsize=9)
        clean(ax, "$m$", "20 steps over 1 step", f"$\\rho = {rho:g}$; {SCALE}")
    return canvas


@figure(
    "sam-19",
    "Sharpness with batch norm depends on whose statistics are used",
    "understanding_sam, Figure 19",
)
def statistics(
    steps: Sequence[int] = (5, 10, 20, 40, 60, 100, 150, 200), seed: int = 42, runs: int = 6
) -> Figure:
    """Largest loss within a radius during training, by training-time and test-time statistics.

    Args:
        steps: at which it is measured.
        seed: of the runs.
        runs: how many.
    """
    canvas = Figure(figsize=(9.6, 3.8), layout="constrained")
    task = small_mnist(seed, runs, batch_norm=True, rate=0.05)
    trained = run(task.train, DeepSAM(task.decaying, rho=0.2), task.steps, record=steps)
    for ax, rho in zip(canvas.subplots(1, 2), (0.1, 0.3), strict=True):
        for name, color in (("training-time", OTHER), ("test-time", SAM)):
            top = [
                m_sharpness(
                    task.test_time(task.train, w) if name == "test-time" else task.train,
                    w,
                    rho,
                    60,
                    above=0.0,
                )
                for w in trained.w
            ]
            band(ax, steps, np.stack(top), color, f"{name} statistics", "o-")
        ax.set_yscale("log")
        ax.legend(frameon=False, fontsize=9)
        clean(ax, "step", "largest loss", f"$\\rho = {rho:g}$, m = 60; {SCALE}, batch norm")
    return canvas
