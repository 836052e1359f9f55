"""Figure 5 of minor_first: which half of a picture of two digits a network looks at.

The paper's text was not at hand. Its Grad-CAM maps of a CNN come out otherwise here, as the figure
shows beside what `minor-first/pixels` claims: the share of the margin in a diagonal network.
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from limitpoint.deep import Classification, Network
from limitpoint.engines.run import run
from limitpoint.errors import UsageError
from limitpoint.optimizers import GD, L2SAM, DeepSAM, DeepSGD
from limitpoint.optimizers.schedules import StepSize
from limitpoint.problems import two_digits
from limitpoint.problems.models import DiagonalDifference
from limitpoint.problems.problem import Problem, stack
from limitpoint.problems.randomness import generator
from limitpoint.views.figures._registry import figure
from limitpoint.views.figures.deep import ERM, SAM, band
from limitpoint.views.figures.style import clean

STEPS, RATE = 600, StepSize(0.05)
CNN_STEPS = (5, 20, 80, 300)


def _share(parts: Tensor) -> Tensor:
    """The second one's share of two parts (..., 2)."""
    return parts[..., 1] / parts.sum(-1)


def _diagonal(problem: Problem, rule: GD | L2SAM, grid: range) -> Tensor:
    w = run(problem, rule, STEPS, record=grid).w
    parts = problem.y.unsqueeze(-1) * problem.X * DiagonalDifference.predictor(w).unsqueeze(-2)
    return _share(torch.unflatten(parts, -1, (2, -1)).sum((-3, -1)))


def _cnn() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(16 * 4 * 8, 2),
    )  # fmt: skip


def _pictures(problem: Problem) -> Tensor:
    """Pictures (n, 1, 8, 16) of the two halves side by side, float32."""
    halves = problem.X.reshape(-1, 2, 8, 8)
    return torch.cat([halves[:, 0], halves[:, 1]], -1).unsqueeze(1).float()


def _cams(network: Network, w: Tensor, X: Tensor, y: Tensor) -> Tensor:
    """Grad-CAM maps of the last convolution for the true class, shape (n, 8, 16)."""
    try:
        from captum.attr import LayerAttribution, LayerGradCam
    except ImportError:
        raise UsageError("Grad-CAM needs captum: pip install 'limitpoint[figures]'") from None
    model = _cnn()
    model.load_state_dict(network.named(w))
    maps = LayerGradCam(model, model[2]).attribute(X, target=y, relu_attributions=True)
    return LayerAttribution.interpolate(maps, (8, 16), "bilinear").squeeze(1).detach()


@figure(
    "minor-first-5",
    "Two digits side by side: the minor one's share of the margin rises first under SAM; a CNN's "
    "Grad-CAM maps do not show it",
    "minor_first, Figure 5 (from a summary)",
)
def two_digits_side_by_side(seed: int = 42, runs: int = 10, rho: float = 0.3) -> Figure:
    """Share of the minor half in a diagonal network, and Grad-CAM maps of a small CNN.

    Args:
        seed: of the samples.
        runs: samples of the diagonal network, starts of the CNN.
        rho: radius of SAM.
    """
    canvas = Figure(figsize=(12, 5.6), layout="constrained")
    grid_of_parts = canvas.add_gridspec(2, 1, height_ratios=[1.25, 1])
    top, bottom = (canvas.add_subfigure(grid_of_parts[row]) for row in range(2))
    left, right = top.subplots(1, 2)
    problem, grid = stack([two_digits(seed * runs + k) for k in range(runs)]), range(10, 601, 10)
    for name, rule, color in (("GD", GD(RATE), ERM), ("SAM", L2SAM(RATE, rho=rho), SAM)):
        band(left, grid, _diagonal(problem, rule, grid), color, name)
    left.legend(frameon=False, fontsize=9)
    left.set_xscale("log")
    clean(left, "step", "minor half's share of the margin", "depth-two diagonal network")
    one = two_digits(seed)
    X, y, rng = _pictures(one), (one.y > 0).long(), generator("two-digits-cnn", seed)
    network = Network(_cnn())
    start = torch.stack([network.start(rng) for _ in range(runs)]).float()
    task = Classification("two digits", network, X.expand(runs, *X.shape),
                          y.expand(runs, -1), start)  # fmt: skip
    steps = sorted({*CNN_STEPS, *np.geomspace(2, max(CNN_STEPS), 25).astype(int).tolist()})
    panels = bottom.subplots(2, len(CNN_STEPS) + 1)
    plain: dict[str, DeepSGD] = {
        "GD": DeepSGD(RATE, momentum=0.0),
        "SAM": DeepSAM(RATE, momentum=0.0, rho=rho),
    }
    for row, (name, trained_by) in enumerate(plain.items()):
        color = (ERM, SAM)[row]
        trained = run(task, trained_by, max(steps), record=steps)
        cams = torch.stack([
            torch.stack([_cams(network, v, X, y) for v in w]) for w in trained.w
        ])  # fmt: skip
        halves = torch.unflatten(cams, -1, (2, 8)).sum((2, 3, 5))
        band(right, steps, _share(halves), color, name)
        panels[row, 0].imshow(X[-1, 0].numpy(), cmap="gray")
        panels[row, 0].set_ylabel(name)
        for ax, step in zip(panels[row, 1:], CNN_STEPS, strict=True):
            ax.imshow(cams[steps.index(step), :, -1].mean(0).numpy(), cmap="magma")
            ax.set_title(f"step {step}", fontsize=9)
    for ax in panels.flat:
        ax.set_xticks([])
        ax.set_yticks([])
    panels[0, 0].set_title("picture", fontsize=9)
    right.set_xscale("log")
    right.legend(frameon=False, fontsize=9)
    clean(
        right, "step", "minor half's share of Grad-CAM", "CNN: maps of the last convolution, below"
    )
    return canvas
