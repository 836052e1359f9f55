"""Figures 1, 4, 16, 17, 18 and 21 of understanding_sam: what generalises, at small scale.

Each is drawn on the small experiments of `limitpoint.deep`, and says so; bands and bars are means
with the 95% bootstrap interval over runs, as the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from limitpoint.deep import Experiment, mnist_images, small_convnet, small_mnist, split
from limitpoint.engines.run import run
from limitpoint.optimizers import DeepNSAM, DeepRandom, DeepSAM, Rule
from limitpoint.optimizers.schedules import PiecewiseStep
from limitpoint.views.figures._registry import figure
from limitpoint.views.figures.style import clean

# Okabe and Ito's colours and a grey, told apart by every common kind of colour vision.
ERM, N_SAM, SAM, OTHER, FOURTH = "#4d4d4d", "#e69f00", "#0072b2", "#d55e00", "#009e73"
ERROR = "test error, %"
SCALE = "MNIST 14 x 14, n = 300, perceptron"


def final(task: Experiment, rule: Rule) -> Tensor:
    """Where training ends, shape (S, size)."""
    return run(task.train, rule, task.steps, record=[task.steps]).final


def error(task: Experiment, rule: Rule) -> Tensor:
    """Test error in percent after training, shape (S,)."""
    return task.test_error(final(task, rule))


def interval(values: ArrayLike) -> np.ndarray:
    """95% bootstrap interval of the mean over the last dimension, shape (2, ...)."""
    found = np.asarray(values, dtype=float)
    draws = np.random.default_rng(0).integers(0, found.shape[-1], (1000, found.shape[-1]))
    return np.percentile(found[..., draws].mean(-1), [2.5, 97.5], axis=-1)


def band(
    ax: Axes, x: ArrayLike, values: ArrayLike, color: str, label: str, style: str = "-"
) -> None:
    """A mean over runs with its interval; values of shape (points, S)."""
    ax.plot(x, np.asarray(values).mean(-1), style, color=color, lw=1.7, label=label)
    ax.fill_between(x, *interval(values), color=color, alpha=0.18, lw=0)


def bars(ax: Axes, found: dict[str, Tensor], colors: Sequence[str]) -> None:
    """A bar a method, from just below the least."""
    means = np.array([float(e.mean()) for e in found.values()])
    ends = np.stack([interval(e) for e in found.values()]).T
    ax.bar(list(found), means, yerr=np.abs(ends - means), color=colors, width=0.6, capsize=3)
    ax.set_ylim(0.9 * ends.min(), 1.03 * ends.max())


def conv_task(seed: int, runs: int) -> Experiment:
    """The small experiment with a conv net and group norm in place of the perceptron."""
    train, test = split(mnist_images(), small_convnet(14), seed, runs=runs, n=300,
                        batch=60, image=(1, 14, 14))  # fmt: skip
    return Experiment(train, test, 200, 0.03)


@figure("sam-1", "Only SAM with small m generalises much better", "understanding_sam, Figure 1")
def perturbations(seed: int = 42, runs: int = 12) -> Figure:
    """Test error of ERM, random perturbations, n-SAM and 1-SAM, for two networks.

    Args:
        seed: of the runs.
        runs: how many.
    """
    canvas = Figure(figsize=(9.6, 3.8), layout="constrained")
    tasks = {"perceptron": small_mnist(seed, runs), "conv net, group norm": conv_task(seed, runs)}
    for ax, (name, task) in zip(canvas.subplots(1, 2), tasks.items(), strict=True):
        rate = task.decaying
        rules = {
            "ERM": task.erm(),
            "random": DeepRandom(rate, rho=0.4),
            "n-SAM": DeepNSAM(rate, rho=0.3),
            "1-SAM": DeepSAM(rate, rho=0.2, m=1),
        }
        bars(ax, {k: error(task, rule) for k, rule in rules.items()}, (ERM, FOURTH, N_SAM, SAM))
        clean(ax, "", ERROR, f"MNIST 14 x 14, n = 300, {name}")
    return canvas


@figure("sam-4", "More ascent steps do not do what a small m does", "understanding_sam, Figure 4")
def ascent_steps(
    radii: Sequence[float] = (0.05, 0.1, 0.2, 0.4), seed: int = 42, runs: int = 8
) -> Figure:
    """Test error by radius with one ascent step and five, for m = 60 and m = 4.

    Args:
        radii: of all methods.
        seed: of the runs.
        runs: how many; with m = 4 and several steps a quarter of them.
    """
    canvas = Figure(figsize=(9.6, 3.8), layout="constrained")
    for ax, m, title in zip(canvas.subplots(1, 2), (None, 4), ("m = 60", "m = 4"), strict=True):
        for steps, color in ((1, SAM), (5, OTHER)):
            count = runs if steps == 1 or m is None else max(runs // 4, 2)
            task = small_mnist(seed, count)
            rules = [DeepSAM(task.decaying, rho=rho, m=m, ascent_steps=steps, ascent_length=0.4)
                     for rho in radii]  # fmt: skip
            label = f"{steps} step" + "s" * (steps > 1)
            band(ax, radii, np.stack([error(task, rule) for rule in rules]), color, label, "o-")
        ax.set_xscale("log")
        ax.set_xticks(radii, [f"{rho:g}" for rho in radii])
        ax.minorticks_off()
        ax.legend(frameon=False, fontsize=9)
        clean(ax, "$\\rho$", ERROR, f"{title}; {SCALE}")
    return canvas


@figure("sam-16", "The smaller m, the better", "understanding_sam, Figure 16")
def small_m(sizes: Sequence[int] = (1, 2, 5, 10, 20, 60), seed: int = 42, runs: int = 12) -> Figure:
    """Test error by m, each at its best of three radii, and ERM's.

    Args:
        sizes: m, divisors of the minibatch of 60.
        seed: of the runs.
        runs: how many.
    """
    canvas = Figure(figsize=(9.6, 3.8), layout="constrained")
    tasks = {"perceptron": small_mnist(seed, runs), "conv net": conv_task(seed, runs // 3)}
    for ax, (name, task) in zip(canvas.subplots(1, 2), tasks.items(), strict=True):
        best = []
        for m in sizes:
            tried = [error(task, DeepSAM(task.decaying, rho=r, m=m)) for r in (0.1, 0.2, 0.4)]
            best.append(min(tried, key=lambda e: float(e.mean())))
        band(ax, sizes, np.stack(best), SAM, "$m$-SAM", "o-")
        of_erm = np.stack([error(task, task.erm())] * len(sizes))
        band(ax, sizes, of_erm, ERM, "ERM", "--")
        ax.set_xscale("log")
        ax.set_xticks(sizes, [str(m) for m in sizes])
        ax.minorticks_off()
        ax.legend(frameon=False, fontsize=9)
        clean(ax, "$m$", ERROR, f"MNIST 14 x 14, n = 300, {name}")
    return canvas


@figure(
    "sam-17",
    "SAM with m = batch does not make up for a large batch",
    "understanding_sam, Figure 17",
)
def batch_sizes(
    sizes: Sequence[int] = (30, 60, 150, 300), seed: int = 42, runs: int = 12
) -> Figure:
    """Test error of ERM and of SAM with m = batch, by batch, 40 epochs each.

    Args:
        sizes: of the minibatch.
        seed: of the runs.
        runs: how many.
    """
    canvas = Figure(figsize=(5.4, 3.8), layout="constrained")
    ax = canvas.subplots()
    found: dict[str, list[Tensor]] = {"ERM": [], "SAM, m = batch": []}
    for size in sizes:
        task = small_mnist(seed, runs, batch=size, steps=40 * 300 // size)
        found["ERM"].append(error(task, task.erm()))
        found["SAM, m = batch"].append(error(task, DeepSAM(task.decaying, rho=0.4)))
    for (name, errors), color in zip(found.items(), (ERM, SAM), strict=True):
        band(ax, sizes, np.stack(errors), color, name, "o-")
    ax.set_xscale("log")
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize=9)
    clean(ax, "minibatch", ERROR, f"40 epochs; {SCALE}")
    return canvas


@figure("sam-18", "SAM's gain by the width of the network", "understanding_sam, Figure 18")
def widths(
    hidden: Sequence[int] = (16, 32, 64, 128, 256, 512), seed: int = 42, runs: int = 12
) -> Figure:
    """ERM's test error minus that of 1-SAM, for two radii.

    Args:
        hidden: units of the hidden layer.
        seed: of the runs.
        runs: how many.
    """
    canvas = Figure(figsize=(5.4, 3.8), layout="constrained")
    ax = canvas.subplots()
    gains: dict[float, list[Tensor]] = {0.1: [], 0.2: []}
    for width in hidden:
        task = small_mnist(seed, runs, hidden=width)
        erm = error(task, task.erm())
        for rho, gain in gains.items():
            gain.append(erm - error(task, DeepSAM(task.decaying, rho=rho, m=1)))
    for (rho, gain), color in zip(gains.items(), (OTHER, SAM), strict=True):
        band(ax, hidden, np.stack(gain), color, f"$\\rho = {rho:g}$", "o-")
    ax.axhline(0, color=ERM, lw=0.8, ls=":")
    ax.set_xscale("log")
    ax.set_xticks(hidden, [str(width) for width in hidden])
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize=9)
    clean(ax, "hidden units", "gain of 1-SAM, points", SCALE)
    return canvas


@figure(
    "sam-21",
    "A decreasing radius does no harm at this scale, unlike in the paper",
    "understanding_sam, Figure 21",
)
def decreasing_radius(
    radii: Sequence[float] = (0.05, 0.1, 0.2, 0.3), seed: int = 42, runs: int = 12
) -> Figure:
    """Test error of SAM by radius, constant or on the step size's schedule, for m = 1 and 60.

    Args:
        radii: at the start.
        seed: of the runs.
        runs: how many.
    """
    canvas = Figure(figsize=(9.6, 3.8), layout="constrained")
    task = small_mnist(seed, runs)
    erm = np.stack([error(task, task.erm())] * len(radii))
    for ax, m, times in zip(canvas.subplots(1, 2), (1, None), (1, 2), strict=True):
        chosen = [times * rho for rho in radii]
        for name, color in (("constant", SAM), ("decreasing", OTHER)):
            rules = [
                DeepSAM(
                    task.decaying,
                    rho=rho,
                    m=m,
                    radii=None if name == "constant" else PiecewiseStep(rho, total=task.steps),
                )
                for rho in chosen
            ]
            errors = np.stack([error(task, rule) for rule in rules])
            band(ax, chosen, errors, color, f"{name} $\\rho$", "o-")
        band(ax, chosen, erm, ERM, "ERM", "--")
        ax.legend(frameon=False, fontsize=9)
        clean(ax, "$\\rho$", ERROR, f"m = {m or 60}; {SCALE}")
    return canvas
