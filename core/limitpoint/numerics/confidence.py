"""Confidence bounds on an expectation that was sampled."""

from __future__ import annotations

import math

import torch
from scipy import stats
from torch import Tensor


def upper_mean(samples: Tensor, *, error: float = 1e-6, dim: int = -1) -> Tensor:
    """One-sided upper confidence bound on the mean: Student's t.

    Assumes that the mean of the samples is close to normal: they are averages or sums of many
    bounded terms here, and there are hundreds of them.

    Args:
        samples: independent draws along `dim`, at least two.
        error: probability, in (0, .5), that the mean is above the bound.
        dim: dimension of the draws.

    Returns:
        The bound, without that dimension.
    """
    count = samples.shape[dim]
    quantile = float(stats.t.isf(error, count - 1))
    spread = samples.std(dim) / math.sqrt(count)
    return torch.as_tensor(samples.mean(dim) + quantile * spread)


def sign_bar(draws: int, error: float = 0.025) -> tuple[int, float]:
    """The fewest wins that chance reaches with a probability of at most `error`, and that chance.

    Args:
        draws: independent draws.
        error: of calling wins a rule where either side is as likely to win.
    """
    bar = int(stats.binom.isf(error, draws, 0.5)) + 1
    return bar, float(stats.binom.sf(bar - 1, draws, 0.5))


def more_often(
    quantity: str, smaller: Tensor, larger: Tensor, error: float = 0.025
) -> tuple[str, float, float, float, str]:
    """Exact sign test, as evidence: `trial.at_least(*more_often(...))`.

    Args:
        quantity: what is smaller than what.
        smaller: one value for each independent draw, shape (K,).
        larger: the value it is paired with, shape (K,); a tie counts against.
        error: false-alarm rate at most.

    Returns:
        Quantity (with the mean difference and its deviation), wins, the wins that are needed,
        tolerance zero, and where the bar comes from.
    """
    difference = (larger - smaller).double()
    draws, wins = difference.numel(), float((difference > 0).sum())
    bar, chance = sign_bar(draws, error)
    shown = f"{quantity}: by {difference.mean():.3g} +- {difference.std():.2g} in the mean; runs"
    return shown, wins, float(bar), 0.0, (
        f"exact sign test: by chance {bar} or more of {draws} with probability {chance:.2g}"
    )  # fmt: skip
