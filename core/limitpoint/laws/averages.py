"""Whole runs of rules with two averages, right and wrong, each by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

#: Steps over -lr.
Steps = Iterator[Tensor]


def adams(
    gradients: Tensor, betas: tuple[float, float], eps: float, *, largest: bool = False
) -> Iterator[tuple[str, Tensor]]:
    """Names and steps over -lr of Adam and its kin; those named "right" come first.

    Args:
        gradients: (steps, n).
        betas: of both averages.
        eps: beside the root.
        largest: with AMSGrad's maximum.
    """
    beta1, beta2 = betas
    if largest:
        yield from _stacked({
            "right": _adam(gradients, beta1, beta2, eps, largest=True),
            "right, of the corrected moment": _amsgrad(gradients, beta1, beta2, eps),
            "without the maximum": _adam(gradients, beta1, beta2, eps),
        })  # fmt: skip
        return
    yield from _stacked({
        "right": _adam(gradients, beta1, beta2, eps),
        "right, of the infinity norm (Adamax)": _adamax(gradients, beta1, beta2, eps),
        "right, with Nesterov's look-ahead (NAdam)": _nadam(gradients, beta1, beta2, eps),
        "right, of deviations (AdaBelief)": _belief(gradients, beta1, beta2, eps, 0.0),
        "right, of deviations, eps in the memory (AdaBelief)": _belief(
            gradients, beta1, beta2, eps, eps
        ),
        "right, signed by the gradient (Grams)": _grams(gradients, beta1, beta2, eps),
        "right, an average of quotients (LaProp)": _laprop(gradients, beta1, beta2, eps),
        "right, a square that is added or taken off (Yogi)": _yogi(gradients, beta1, beta2, eps),
        "right, rectified (RAdam)": _radam(gradients, beta1, beta2, eps, 5),
        "right, rectified from rho = 4 (RAdam)": _radam(gradients, beta1, beta2, eps, 4),
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
    })  # fmt: skip


def adagrad(gradients: Tensor, eps: float, start: float, decay: float) -> dict[str, Tensor]:
    """Steps over -lr of Adagrad, from an accumulator's start, under its own decay of lr.

    And what is mistaken for it; "right" comes first.
    """
    squares = start + (gradients**2).cumsum(0)
    slower = 1 + decay * torch.arange(len(gradients), dtype=gradients.dtype).unsqueeze(1)
    roots = {"right": squares.sqrt() + eps, "eps in the root": (squares + eps).sqrt()}
    return {name: gradients / root / slower for name, root in roots.items()}


def adadelta(gradients: Tensor, rho: float, eps: float) -> Tensor:
    """Steps over -lr of Adadelta (Zeiler 2012, Alg. 1)."""
    squares = moves = torch.zeros_like(gradients[0])
    steps = []
    for g in gradients:
        squares = rho * squares + (1 - rho) * g * g
        steps.append(((moves + eps) / (squares + eps)).sqrt() * g)
        moves = rho * moves + (1 - rho) * steps[-1] ** 2
    return torch.stack(steps)


def _stacked(runs: dict[str, Steps]) -> Iterator[tuple[str, Tensor]]:
    """One at a time, as they are asked for."""
    return ((name, torch.stack(list(steps))) for name, steps in runs.items())


def rmsprops(
    gradients: Tensor, alpha: float, eps: float, momentum: float = 0.0, *, centered: bool = False
) -> dict[str, Tensor]:
    """Steps over -lr of RMSprop and what is mistaken for it; those named "right" come first.

    Args:
        gradients: (steps, n).
        alpha: of the average of squares.
        eps: beside the root.
        momentum: of the quotients.
        centered: the square of the average is taken off.
    """

    def run(momentum: float = momentum, *, inside: bool = False) -> Steps:
        mean = square = ball = torch.zeros_like(gradients[0])
        for g in gradients:
            mean, square = alpha * mean + (1 - alpha) * g, alpha * square + (1 - alpha) * g * g
            spread = square - mean**2 if centered else square
            root = (spread + eps).sqrt() if inside else spread.sqrt() + eps
            ball = momentum * ball + g / root
            yield ball

    return dict(
        _stacked(
            {
                "right": run(),
                "without a momentum": run(0.0),
                "eps in the root": run(inside=True),
            }
        )
    )


def lions(gradients: Tensor, betas: tuple[float, float]) -> Iterator[tuple[str, Tensor]]:
    """Names and steps over -lr of Lion and what is mistaken for it; the first is right."""
    beta1, beta2 = betas
    return _stacked({
        "right": _lion(gradients, beta1, beta2),
        "with the betas swapped": _lion(gradients, beta2, beta1),
        "with one beta for both": _lion(gradients, beta1, beta1),
        "with the memory taken before the sign": _lion(gradients, beta1, beta2, early=True),
    })  # fmt: skip


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


def _radam(gradients: Tensor, beta1: float, beta2: float, eps: float, least: float) -> Steps:
    m = v = torch.zeros_like(gradients[0])
    most = 2 / (1 - beta2) - 1
    for t, g in enumerate(gradients, 1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        rho = most - 2 * t * beta2**t / (1 - beta2**t)
        step = m / (1 - beta1**t)
        if rho > least:
            share = (rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho)
            step = step * (share * (1 - beta2**t)) ** 0.5 / (v.sqrt() + eps)
        yield step


def _amsgrad(gradients: Tensor, beta1: float, beta2: float, eps: float) -> Steps:
    m = v = top = torch.zeros_like(gradients[0])
    for t, g in enumerate(gradients, 1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        top = torch.maximum(top, v / (1 - beta2**t))
        yield m / (1 - beta1**t) / (top.sqrt() + eps)


def _belief(gradients: Tensor, beta1: float, beta2: float, eps: float, kept: float) -> Steps:
    m = v = torch.zeros_like(gradients[0])
    for t, g in enumerate(gradients, 1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (g - m) ** 2 + kept
        yield m / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + eps)


def _yogi(gradients: Tensor, beta1: float, beta2: float, eps: float) -> Steps:
    m = v = torch.zeros_like(gradients[0])
    for t, g in enumerate(gradients, 1):
        m = beta1 * m + (1 - beta1) * g
        v = v - (1 - beta2) * (v - g * g).sign() * g * g
        yield m / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + eps)


def _grams(gradients: Tensor, beta1: float, beta2: float, eps: float) -> Steps:
    for g, step in zip(gradients, _adam(gradients, beta1, beta2, eps), strict=True):
        yield g.sign() * step.abs()


def _laprop(gradients: Tensor, beta1: float, beta2: float, eps: float) -> Steps:
    m = v = torch.zeros_like(gradients[0])
    for t, g in enumerate(gradients, 1):
        v = beta2 * v + (1 - beta2) * g * g
        m = beta1 * m + (1 - beta1) * g / ((v / (1 - beta2**t)).sqrt() + eps)
        yield m / (1 - beta1**t)


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
