"""Confidence bounds on an expectation that was sampled."""

from __future__ import annotations

import math

import scipy
import torch
from torch import Tensor

#: Up to so many draws every flip of signs is looked at.
EXACT = 14
ROUNDING = 1e-12


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
    quantile = float(scipy.stats.t.isf(error, count - 1))
    spread = samples.std(dim) / math.sqrt(count)
    return torch.as_tensor(samples.mean(dim) + quantile * spread)


def flipped_means(differences: Tensor) -> Tensor:
    """Means with each sign flipped or not, the unflipped one last.

    Args:
        differences: one for each independent draw, float64 (K,), K > 1.

    Returns:
        (2^K,) for K <= `EXACT`, else (2^EXACT,) of signs drawn with a fixed seed.
    """
    draws = differences.numel()
    either = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    if draws <= EXACT:
        signs = torch.cartesian_prod(*[either] * draws)
    else:
        chance = torch.Generator().manual_seed(0)
        signs = either[torch.randint(2, (2**EXACT, draws), generator=chance)]
        signs[-1] = 1
    return signs @ differences / draws


def by_chance(
    quantity: str, smaller: Tensor, larger: Tensor, error: float = 0.025
) -> tuple[str, float, float, float, str]:
    """Fisher's randomisation test, as evidence: `trial.at_most(*by_chance(...))`.

    If the two are alike, the signs of their differences are chance's: how often is the mean of the
    differences as large as it is? Nothing else is assumed of them.

    Args:
        quantity: what is smaller than what.
        smaller: one value for each independent draw, shape (K,), K >= 6.
        larger: the value it is paired with, shape (K,).
        error: false-alarm rate at most.

    Returns:
        Quantity (with the mean difference and its deviation), that share, its bound, tolerance
        zero, and where it comes from.

    Source: Fisher, The Design of Experiments, 1935, Section 21.
    """
    difference = (larger - smaller).double()
    means = flipped_means(difference)
    chance = float((means >= means[-1] - ROUNDING * difference.abs().max()).double().mean())
    shown = f"{quantity}: by {difference.mean():.3g} +- {difference.std():.2g} in the mean; chance"
    return shown, chance, error, 0.0, (
        f"randomisation test: signs of {difference.numel()} differences flipped, "
        f"{len(means)} times"
    )  # fmt: skip
