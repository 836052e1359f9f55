"""Whole runs of rules with two averages, right and wrong, each by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

#: Steps over -lr.
Steps = Iterator[Tensor]


def adams(gradients: Tensor, betas: tuple[float, float], eps: float) -> dict[str, Tensor]:
    """Steps over -lr of Adam and its kin; those named "right" come first.

    Args:
        gradients: (steps, n).
        betas: of both averages.
        eps: beside the root.
    """
    beta1, beta2 = betas
    runs: dict[str, Steps] = {
        "right": _adam(gradients, beta1, beta2, eps),
        "right, of the infinity norm (Adamax)": _adamax(gradients, beta1, beta2, eps),
        "right, with Nesterov's look-ahead (NAdam)": _nadam(gradients, beta1, beta2, eps),
        "with the betas swapped": _adam(gradients, beta2, beta1, eps),
        "with one beta for both moments": _adam(gradients, beta1, beta1, eps),
        "divided by the second moment of one step ago": _adam(
            gradients, beta1, beta2, eps, late=True
        ),
        "divided by the largest second moment (AMSGrad)": _adam(
            gradients, beta1, beta2, eps, largest=True
        ),
        "with the bias of the first step only corrected": _adam(
            gradients, beta1, beta2, eps, count=lambda t: 1
        ),
        "without a first moment": _adam(gradients, 0.0, beta2, eps),
    }
    return {name: torch.stack(list(steps)) for name, steps in runs.items()}


def lions(gradients: Tensor, betas: tuple[float, float]) -> dict[str, Tensor]:
    """Steps over -lr of Lion and what is mistaken for it; the first is right."""
    beta1, beta2 = betas
    runs: dict[str, Steps] = {
        "right": _lion(gradients, beta1, beta2),
        "with the betas swapped": _lion(gradients, beta2, beta1),
        "with one beta for both": _lion(gradients, beta1, beta1),
        "with the memory taken before the sign": _lion(gradients, beta1, beta2, early=True),
    }
    return {name: torch.stack(list(steps)) for name, steps in runs.items()}


def _adam(
    gradients: Tensor, beta1: float, beta2: float, eps: float, *, late: bool = False,
    largest: bool = False, count: Callable[[int], int] = lambda t: t,
) -> Steps:  # fmt: skip
    m = v = top = torch.zeros_like(gradients[0])
    for t, g in enumerate(gradients, 1):
        before, m, v = v, beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        top = torch.maximum(top, v)
        used = before if late and t > 1 else top if largest else v
        age = t - 1 if late and t > 1 else t
        corrected = (used / (1 - beta2 ** count(age))).sqrt()
        yield m / (1 - beta1 ** count(t)) / (corrected + eps)


def _adamax(gradients: Tensor, beta1: float, beta2: float, eps: float) -> Steps:
    m = u = torch.zeros_like(gradients[0])
    for t, g in enumerate(gradients, 1):
        m, u = beta1 * m + (1 - beta1) * g, torch.maximum(beta2 * u, g.abs() + eps)
        yield m / (1 - beta1**t) / u


def _nadam(gradients: Tensor, beta1: float, beta2: float, eps: float) -> Steps:
    m = v = torch.zeros_like(gradients[0])
    product = 1.0
    for t, g in enumerate(gradients, 1):
        now, following = (beta1 * (1 - 0.5 * 0.96 ** (0.004 * k)) for k in (t, t + 1))
        product *= now
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        ahead = (1 - now) / (1 - product) * g + following / (1 - product * following) * m
        yield ahead / ((v / (1 - beta2**t)).sqrt() + eps)


def _lion(gradients: Tensor, beta1: float, beta2: float, *, early: bool = False) -> Steps:
    m = torch.zeros_like(gradients[0])
    for g in gradients:
        after = beta2 * m + (1 - beta2) * g
        yield (beta1 * (after if early else m) + (1 - beta1) * g).sign()
        m = after
