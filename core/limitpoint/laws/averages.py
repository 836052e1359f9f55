"""Whole runs of rules with two averages, right and wrong, each by its name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

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
            "right, with Nesterov's look-ahead (NAdam)": _nadam(
                gradients, beta1, beta2, eps, largest=True
            ),
            "right, with Nesterov's look-ahead (NAdam, constant)": _nadam(
                gradients, beta1, beta2, eps, warms=False, largest=True
            ),
            "right, with Nesterov's look-ahead (NAdamW)": _nadamw(
                gradients, beta1, beta2, eps, largest=True
            ),
            "right, eps in the memory (EAdam)": _eadam(gradients, beta1, beta2, eps, largest=True),
            "without the maximum": _adam(gradients, beta1, beta2, eps),
        })  # fmt: skip
        return
    yield from _stacked({
        "right": _adam(gradients, beta1, beta2, eps),
        "right, of the infinity norm (Adamax)": _adamax(gradients, beta1, beta2, eps),
        "right, with Nesterov's look-ahead (NAdam)": _nadam(gradients, beta1, beta2, eps),
        "right, with Nesterov's look-ahead (NAdam, constant)": _nadam(
            gradients, beta1, beta2, eps, warms=False
        ),
        "right, with Nesterov's look-ahead (NAdamW)": _nadamw(gradients, beta1, beta2, eps),
        "right, of deviations (AdaBelief)": _belief(gradients, beta1, beta2, eps, 0.0),
        "right, of deviations, eps in the memory (AdaBelief)": _belief(
            gradients, beta1, beta2, eps, eps
        ),
        "right, signed by the gradient (Grams)": _grams(gradients, beta1, beta2, eps),
        "right, an average of quotients (LaProp)": _laprop(gradients, beta1, beta2, eps),
        "right, a square that is added or taken off (Yogi)": _yogi(gradients, beta1, beta2, eps),
        "right, eps in the memory (EAdam)": _eadam(gradients, beta1, beta2, eps),
        "right, schedule-free, where gradients are taken": _schedule_free(
            gradients, beta1, beta2, eps, beta1
        ),
        "right, schedule-free, the average of iterates": _schedule_free(
            gradients, beta1, beta2, eps, 1.0
        ),
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
        **_cautious(gradients, partial(_lion, gradients, beta1, beta2)),
        "with the betas swapped": _lion(gradients, beta2, beta1),
        "with one beta for both": _lion(gradients, beta1, beta1),
        "with the memory taken before the sign": _lion(gradients, beta1, beta2, early=True),
    })  # fmt: skip


def cautious(
    gradients: Tensor, betas: tuple[float, float], eps: float, *, largest: bool = False
) -> Iterator[tuple[str, Tensor]]:
    """Names and steps over -lr of Adam, or AMSGrad, that does not move against its gradient."""
    run = partial(_adam, gradients, *betas, eps, largest=largest)
    return _stacked(_cautious(gradients, run))


def arcs(gradients: Tensor, betas: tuple[float, float]) -> Iterator[tuple[str, Tensor]]:
    """Names and steps over -lr of Adam-atan2 and what is mistaken for it.

    Everett et al. 2024 have a atan2(m, b sqrt(v)) in place of a quotient and its epsilon; here
    b = 1, and a is one of those in use: 1, and two that make the first step one, or nearly.
    """
    runs = {}
    for name, scale in (("", 1.0), (", times 4 / pi", 4 / math.pi), (", times 1.27", 1.27)):
        runs[f"right, an arc (Adam-atan2){name}"] = _arc(gradients, *betas, scale)
        runs[f"an arc, doubled{name}"] = _arc(gradients, *betas, 2 * scale)
        runs[f"an arc, without the root{name}"] = _arc(gradients, *betas, scale, power=1.0)
    return _stacked(runs)


def _moments(
    gradients: Tensor, beta1: float, beta2: float, kept: float = 0.0
) -> Iterator[tuple[int, Tensor, Tensor, Tensor]]:
    """The number of each step, its gradient, and both averages after it; kept is added to one."""
    m = v = torch.zeros_like(gradients[0])
    for t, g in enumerate(gradients, 1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g + kept
        yield t, g, m, v


def _arc(
    gradients: Tensor, beta1: float, beta2: float, scale: float, *, power: float = 0.5
) -> Steps:
    for t, _, m, v in _moments(gradients, beta1, beta2):
        yield scale * torch.atan2(m / (1 - beta1**t), (v / (1 - beta2**t)) ** power)


def _cautious(gradients: Tensor, run: Callable[[], Steps]) -> dict[str, Steps]:
    """Entries that disagree with their gradient do not move (Liang et al. 2024).

    The others may do so the more: by the mean of the mask, or by all entries over one more than
    agree, as in the paper.
    """
    alone, meaned, counted, turned = (zip(gradients, run(), strict=True) for _ in range(4))
    masks = {
        "right, cautious": (u * (u * g > 0) for g, u in alone),
        "right, cautious, over the mask's mean": (
            u * (u * g > 0) / (u * g > 0).to(g.dtype).mean().clamp_min(1e-3) for g, u in meaned
        ),
        "right, cautious, over the mask's count": (
            u * (u * g > 0) * g.numel() / ((u * g > 0).sum() + 1) for g, u in counted
        ),
        "moved where the gradient disagrees alone": (u * (u * g < 0) for g, u in turned),
    }
    return dict(masks)


def _adam(
    gradients: Tensor, beta1: float, beta2: float, eps: float, *, late: bool = False,
    largest: bool = False, count: Callable[[int], int] = lambda t: t,
) -> Steps:  # fmt: skip
    before = top = torch.zeros_like(gradients[0])
    for t, _, m, v in _moments(gradients, beta1, beta2):
        top = torch.maximum(top, v)
        used = before if late and t > 1 else top if largest else v
        age = t - 1 if late and t > 1 else t
        corrected = (used / (1 - beta2 ** count(age))).sqrt()
        yield m / (1 - beta1 ** count(t)) / (corrected + eps)
        before = v


def _eadam(
    gradients: Tensor, beta1: float, beta2: float, eps: float, *, largest: bool = False
) -> Steps:
    """Epsilon is added to the average of squares at each step (Yuan and Gao 2020, Alg. 1)."""
    top = torch.zeros_like(gradients[0])
    for t, _, m, v in _moments(gradients, beta1, beta2, eps):
        top = torch.maximum(top, v)
        yield m / (1 - beta1**t) / ((top if largest else v) / (1 - beta2**t)).sqrt()


def _schedule_free(
    gradients: Tensor, beta1: float, beta2: float, eps: float, share: float
) -> Steps:
    """Without a schedule, at a constant lr (Defazio et al. 2024, Alg. 1).

    The parameter is the fast iterate with a share of the average of all: beta1 where gradients are
    taken, 1 where it is the average itself, as between the steps of the authors' closure variant.
    """
    fast = mean = before = torch.zeros_like(gradients[0])
    for t, g, _, v in _moments(gradients, beta1, beta2):
        fast = fast + g / ((v / (1 - beta2**t)).sqrt() + eps)
        mean = torch.lerp(mean, fast, 1 / t)
        point = torch.lerp(fast, mean, share)
        yield point - before
        before = point


def _radam(gradients: Tensor, beta1: float, beta2: float, eps: float, least: float) -> Steps:
    most = 2 / (1 - beta2) - 1
    for t, _, m, v in _moments(gradients, beta1, beta2):
        rho = most - 2 * t * beta2**t / (1 - beta2**t)
        step = m / (1 - beta1**t)
        if rho > least:
            share = (rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho)
            step = step * (share * (1 - beta2**t)) ** 0.5 / (v.sqrt() + eps)
        yield step


def _amsgrad(gradients: Tensor, beta1: float, beta2: float, eps: float) -> Steps:
    top = torch.zeros_like(gradients[0])
    for t, _, m, v in _moments(gradients, beta1, beta2):
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


def _nadam(
    gradients: Tensor, beta1: float, beta2: float, eps: float, *, warms: bool = True,
    largest: bool = False,
) -> Steps:  # fmt: skip
    top, product = torch.zeros_like(gradients[0]), 1.0
    for t, g, m, v in _moments(gradients, beta1, beta2):
        warm = [1 - warms * 0.5 * 0.96 ** (0.004 * k) for k in (t, t + 1)]
        now, following = (beta1 * part for part in warm)
        product *= now
        top = torch.maximum(top, v)
        ahead = (1 - now) / (1 - product) * g + following / (1 - product * following) * m
        yield ahead / (((top if largest else v) / (1 - beta2**t)).sqrt() + eps)


def _nadamw(
    gradients: Tensor, beta1: float, beta2: float, eps: float, *, largest: bool = False
) -> Steps:
    """Corrected for what the average alone lacks, as AlgoPerf's baseline is."""
    top = torch.zeros_like(gradients[0])
    for t, g, m, v in _moments(gradients, beta1, beta2):
        top = torch.maximum(top, v)
        ahead = beta1 * m + (1 - beta1) * g
        yield ahead / (1 - beta1**t) / (((top if largest else v) / (1 - beta2**t)).sqrt() + eps)


def _lion(gradients: Tensor, beta1: float, beta2: float, *, early: bool = False) -> Steps:
    m = torch.zeros_like(gradients[0])
    for g in gradients:
        after = beta2 * m + (1 - beta2) * g
        yield (beta1 * (after if early else m) + (1 - beta1) * g).sign()
        m = after
