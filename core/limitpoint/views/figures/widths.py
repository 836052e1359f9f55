"""The coordinate check: what steps change in a network, by its width."""

from __future__ import annotations

from matplotlib.figure import Figure

from limitpoint import optimizers, problems
from limitpoint.engines.run import run
from limitpoint.optimizers.schedules import StepSize
from limitpoint.views.figures._registry import figure
from limitpoint.views.figures.style import ACCENT, WARM, clean

BASE = 64


def _hidden_change(width: int, steps: int, seed: int, *, scaled: bool) -> float:
    """RMS of what the second layer makes under Adam, less what it made at first."""
    network = problems.wide_network(seed, width)
    rule = optimizers.MuAdam(
        StepSize(0.002), 0.9, 0.95, layers=network.layers(BASE) if scaled else ()
    )
    w = run(network, rule, steps, start=network.start, record=(0, steps)).w
    first, last = network.signals(w)[1][1]
    return float((last - first).square().mean().sqrt())


def _output_change(scale: float, width: int, steps: int, seed: int) -> float:
    """RMS of the outputs of a square layer under Muon, from zero."""
    problem = problems.wide_layer(seed, width, width, 8)
    w = run(problem, optimizers.Muon(StepSize(0.05 * scale)), steps, record=(steps,)).final
    return float((problem.X @ w.mT).square().mean().sqrt())


@figure(
    "width-coordinates",
    "What a few steps change grows with the width, or does not",
    "Yang et al. 2022 (arXiv:2203.03466), Appendix D.1; Yang, Simon and Bernstein 2023",
)
def coordinates(seed: int = 0, steps: int = 4) -> Figure:
    """Changes after a few steps of Adam and Muon, one step size for all widths and scaled.

    Args:
        seed: of the starts.
        steps: how many.
    """
    canvas = Figure(figsize=(8.4, 4.0), layout="constrained")
    left, right = canvas.subplots(1, 2)
    widths = (64, 128, 256, 512)
    for name, color, scaled in (("one step size", WARM, False), ("muP", ACCENT, True)):
        changes = [_hidden_change(n, steps, seed, scaled=scaled) for n in widths]
        left.plot(widths, changes, "o-", color=color, label=name)
    clean(left, "width", "RMS change of the hidden layer", "Adam")
    widths = (16, 32, 64, 128)
    for name, color, match in (("match_rms_adamw", WARM, True), ("original", ACCENT, False)):
        changes = [_output_change(0.2 * n**0.5 if match else 1.0, n, steps, seed) for n in widths]
        right.plot(widths, changes, "o-", color=color, label=name)
    clean(right, "width", "RMS change of the outputs", "Muon, exact polar factor")
    for ax in (left, right):
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.set_xticks(ax.lines[0].get_xdata(), [f"{n:g}" for n in ax.lines[0].get_xdata()])
        ax.legend(frameon=False)
    return canvas
