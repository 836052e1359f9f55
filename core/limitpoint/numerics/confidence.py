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


def sign_test(smaller: Tensor, larger: Tensor) -> float:
    """Exact one-sided sign test that `smaller` is below `larger` more often than not.

    Args:
        smaller: one value for each independent draw, shape (K,).
        larger: the value it is paired with, shape (K,); a tie counts against.

    Returns:
        Probability of as many wins or more if both were equally likely to be the smaller.
    """
    wins = int((smaller < larger).sum())
    return float(stats.binomtest(wins, smaller.numel(), 0.5, alternative="greater").pvalue)
