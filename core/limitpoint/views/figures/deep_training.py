"""Figures 8 to 12, 20 and 22 of understanding_sam: training over time, at small scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from limitpoint.deep import Experiment, noisy_digits, small_mnist
from limitpoint.engines.run import run
from limitpoint.engines.trajectory import Trajectory
from limitpoint.optimizers import DeepSAM, Rule, Switch
from limitpoint.views.figures._registry import figure
from limitpoint.views.figures.deep import ERM, ERROR, FOURTH, OTHER, SAM, SCALE, band, error
from limitpoint.views.figures.style import clean

STEPS = 250
LATE = 0.3  # the radius of a late switch to SAM; SAM's own is .2


def _methods(task: Experiment) -> tuple[Rule, Rule, Rule]:
    """ERM, SAM, and SAM as a late switch has it."""
    return task.erm(task.rate), _sam(task, 0.2), _sam(task, LATE)


def _sam(task: Experiment, rho: float, m: int | None = 1, *, normalised: bool = True) -> DeepSAM:
    return DeepSAM(task.constant, rho=rho, m=m, normalised=normalised, **task.common)


def _over_time(
    ax: Axes,
    runs: Mapping[str, tuple[Trajectory, str]],
    values: Mapping[str, Tensor],
    y: str,
    title: str,
) -> None:
    """A band a method, against the step."""
    for name, (trajectory, color) in runs.items():
        style = "--" if "→" in name else "-"
        band(ax, trajectory.times, values[name].double(), color, name, style)
    ax.legend(frameon=False, fontsize=9)
    clean(ax, "step", y, title)


@figure(
    "sam-8",
    "Switching between ERM and SAM at any time: here an early SAM is kept, unlike in the paper",
    "understanding_sam, Figure 8",
)
def switch_times(
    shares: Sequence[float] = (0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1),
    seed: int = 42,
    runs: int = 10,
) -> Figure:
    """Test error by the share of the training before the switch, in both orders.

    Args:
        shares: of the training at which the methods are switched.
        seed: of the runs.
        runs: how many.
    """
    canvas = Figure(figsize=(9.6, 3.8), layout="constrained")
    task = small_mnist(seed, runs, steps=STEPS)
    erm, sam, late = _methods(task)
    orders = (("SAM → ERM", sam, erm, OTHER), ("ERM → SAM", erm, late, SAM))
    for ax, (title, first, then, color) in zip(
        canvas.subplots(1, 2, sharey=True), orders, strict=True
    ):
        rules = [Switch(first, then, round(share * STEPS)) for share in shares]
        errors = np.stack([error(task, rule) for rule in rules])
        band(ax, [100 * share for share in shares], errors, color, title, "o-")
        clean(ax, "switched at % of the steps", ERROR, f"{title}; {SCALE}")
    return canvas


@figure(
    "sam-9",
    "SAM leaves ERM's minimum at once; ERM stays at SAM's",
    "understanding_sam, Figure 9",
)
def late_switch(seed: int = 42, runs: int = 16) -> Figure:
    """Test error over time of ERM, SAM, and the two switched for the last fifth.

    Args:
        seed: of the runs.
        runs: how many.
    """
    canvas = Figure(figsize=(5.6, 3.8), layout="constrained")
    ax = canvas.subplots()
    task = small_mnist(seed, runs, steps=STEPS)
    erm, sam, late = _methods(task)
    at = 4 * STEPS // 5
    rules = {
        "ERM": (erm, ERM),
        "SAM": (sam, SAM),
        "ERM → SAM": (Switch(erm, late, at), OTHER),
        "SAM → ERM": (Switch(sam, erm, at), FOURTH),
    }
    grid = range(40, STEPS + 1, 6)
    found = {n: (run(task.train, rule, STEPS, record=grid), c) for n, (rule, c) in rules.items()}
    errors = {name: task.test_error(trajectory.w) for name, (trajectory, _) in found.items()}
    ax.axvline(at, color=ERM, lw=0.8, ls=":")
    _over_time(ax, found, errors, ERROR, SCALE)
    return canvas


@figure(
    "sam-10",
    "No barrier between ERM and ERM, then SAM, in an asymmetric basin",
    "understanding_sam, Figure 10",
)
def basin(seed: int = 42, runs: int = 10) -> Figure:
    """Loss and test error on the line through the two ends, and to another start's end.

    Args:
        seed: of the runs.
        runs: how many.
    """
    canvas = Figure(figsize=(12, 3.6), layout="constrained")
    task, elsewhere = (small_mnist(s, runs, steps=STEPS) for s in (seed, seed + 10**6))
    erm, _, late = _methods(task)
    start = torch.stack([task.train.start, elsewhere.train.start])
    here, other = (run(task.train, erm, STEPS, start=w, record=[STEPS]).final for w in start)
    switched = Switch(erm, late, 4 * STEPS // 5)
    there = run(task.train, switched, STEPS, record=[STEPS]).final
    lines = {"ERM → SAM at 1": (there, SAM), "another start's ERM at 1": (other, ERM)}
    places = torch.linspace(-0.6, 1.6, 45)
    measures = {
        "training loss": task.train.value, "test loss": task.test.value, ERROR: task.test.error
    }  # fmt: skip
    for ax, (y, measure) in zip(canvas.subplots(1, 3), measures.items(), strict=True):
        for name, (end, color) in lines.items():
            values = torch.stack([measure(here + s * (end - here)) for s in places])
            band(ax, places, values.double(), color, name)
        ax.axvline(0, color=ERM, lw=0.8, ls=":")
        ax.axvline(1, color=ERM, lw=0.8, ls=":")
        clean(ax, "ERM at 0", y, SCALE)
    canvas.axes[0].legend(frameon=False, fontsize=8)
    return canvas


@figure(
    "sam-11", "ERM and SAM converge; normalisation is not crucial", "understanding_sam, Figure 11"
)
def convergence(seed: int = 42, runs: int = 12) -> Figure:
    """Training loss and test error over time of ERM, SAM with and without normalisation, m = 60.

    Args:
        seed: of the runs.
        runs: how many.
    """
    canvas = Figure(figsize=(9.6, 3.8), layout="constrained")
    left, right = canvas.subplots(1, 2)
    task = small_mnist(seed, runs, steps=600)
    rules = {
        "ERM": (task.erm(task.rate), ERM),
        "60-SAM": (_sam(task, 0.4, None), SAM),
        "60-SAM, unnormalised": (_sam(task, 0.6, None, normalised=False), OTHER),
        "1-SAM": (_sam(task, 0.2), FOURTH),
    }
    grid = range(20, 601, 20)
    found = {n: (run(task.train, rule, 600, record=grid), c) for n, (rule, c) in rules.items()}
    loss = {name: task.train.value(trajectory.w) for name, (trajectory, _) in found.items()}
    errors = {name: task.test_error(trajectory.w) for name, (trajectory, _) in found.items()}
    left.set_yscale("log")
    _over_time(left, found, loss, "training loss", f"constant step and radius; {SCALE}")
    _over_time(right, found, errors, ERROR, SCALE)
    return canvas


def _noise(task: Experiment, rules: Mapping[str, tuple[Rule, str]], steps: int, title: str,
           row: Sequence[Axes]) -> None:  # fmt: skip
    """Test error, and the share of the training labels that is fitted, over time."""
    grid = range(steps // 40, steps + 1, steps // 40)
    found = {n: (run(task.train, rule, steps, record=grid), c) for n, (rule, c) in rules.items()}
    errors = {name: task.test_error(trajectory.w) for name, (trajectory, _) in found.items()}
    unfitted = {name: task.train.error(trajectory.w) for name, (trajectory, _) in found.items()}
    _over_time(row[0], found, errors, ERROR, title)
    _over_time(row[1], found, unfitted, "training labels not fitted, %", title)


@figure(
    "sam-12",
    "Test error rises as wrong labels are fitted; SAM with small m resists",
    "understanding_sam, Figure 12",
)
def noise(seed: int = 42, runs: int = 8) -> Figure:
    """ERM, n-SAM and m-SAM over time, with 40% and 60% wrong labels.

    Args:
        seed: of the runs.
        runs: how many.
    """
    canvas = Figure(figsize=(9.6, 7.2), layout="constrained")
    for row, share in zip(canvas.subplots(2, 2), (0.4, 0.6), strict=True):
        task = noisy_digits(seed, runs, wrong_labels=share)
        rules = {
            "ERM": (task.erm(task.rate), ERM),
            "n-SAM": (_sam(task, 0.2, None), OTHER),
            "4-SAM": (_sam(task, 0.2, 4), FOURTH),
            "1-SAM": (_sam(task, 0.2), SAM),
        }
        _noise(task, rules, 800, f"300 digits, {share:.0%} wrong labels", row)
    return canvas


@figure(
    "sam-20",
    "The objective with its l2 term falls from epoch to epoch",
    "understanding_sam, Figure 20",
)
def objective(seed: int = 42, runs: int = 12, decay: float = 5e-4) -> Figure:
    """L + decay / 2 |w|^2 of ERM and 1-SAM.

    Args:
        seed: of the runs.
        runs: how many.
        decay: weight decay.
    """
    canvas = Figure(figsize=(5.4, 3.8), layout="constrained")
    ax = canvas.subplots()
    task = small_mnist(seed, runs, weight_decay=decay)
    sam = DeepSAM(task.decaying, rho=0.2, m=1, **task.common)
    rules = {"ERM": (task.erm(), ERM), "1-SAM": (sam, SAM)}
    grid = range(5, task.steps + 1, 5)
    found = {n: (run(task.train, r, task.steps, record=grid), c) for n, (r, c) in rules.items()}
    values = {
        name: task.train.value(trajectory.w) + decay / 2 * (trajectory.w**2).sum(-1)
        for name, (trajectory, _) in found.items()
    }
    ax.set_yscale("log")
    _over_time(ax, found, values, "objective", f"$\\lambda = {decay:g}$; {SCALE}")
    return canvas


@figure(
    "sam-22",
    "Without normalisation SAM's best test error under label noise is almost the same",
    "understanding_sam, Figure 22",
)
def unnormalised_noise(seed: int = 42, runs: int = 8) -> Figure:
    """ERM, 1-SAM with and without normalisation over time, with 40% wrong labels.

    Args:
        seed: of the runs.
        runs: how many.
    """
    canvas = Figure(figsize=(9.6, 3.8), layout="constrained")
    task = noisy_digits(seed, runs)
    rules = {
        "ERM": (task.erm(task.rate), ERM),
        "1-SAM, $\\rho = .2$": (_sam(task, 0.2), SAM),
        "unnormalised, $\\rho = .03$": (_sam(task, 0.03, normalised=False), OTHER),
    }
    _noise(task, rules, 400, "300 digits, 40% wrong labels", canvas.subplots(1, 2))
    return canvas
