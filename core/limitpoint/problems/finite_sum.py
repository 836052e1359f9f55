"""Finite sums with known variance, and which of their terms a stochastic step sees."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from limitpoint.problems.problem import Objective, Oracle


@dataclass(frozen=True, eq=False)
class FiniteSum(Oracle):
    """L = (1/n) sum_i l_i with l_i(w) = L(w) + s_i R(w) + <xi_i, w>, s and xi summing to zero.

    R is a ripple with a bounded gradient, which makes the terms' curvatures differ. Each l_i is
    beta-smooth with beta = beta(L) + max |s_i| beta(R), and the variance of its gradient is at most
    sigma^2 = mean_i (|s_i| G + |xi_i|)^2 with G = max |grad R|; for s = 0 it is that at every w
    (understanding_sam, (A1) and (A2)).

    Args:
        mean: L, with its "beta".
        slopes: xi, shape (n, d).
        scales: s, shape (n,).
        ripple: R, with its "beta" and, as "gradient", G.
    """

    mean: Objective
    slopes: Tensor
    scales: Tensor
    ripple: Objective

    def __post_init__(self) -> None:
        for part in (self.slopes, self.scales):
            if float(part.sum(0).abs().max()) > 1e-12:
                raise ValueError("the terms must have the mean L: slopes and scales sum to zero")

    @property
    def ndim(self) -> int:
        """Trailing dimensions of one parameter."""
        return 1

    @property
    def n(self) -> int:
        """Number of terms."""
        return len(self.scales)

    @property
    def beta(self) -> float:
        """Smoothness of every term."""
        spread = float(self.scales.abs().max())
        return self.mean.constants["beta"] + spread * self.ripple.constants["beta"]

    @property
    def variance(self) -> float:
        """sigma^2, a bound on the variance of a term's gradient at every w."""
        rippled = self.scales.abs() * self.ripple.constants["gradient"]
        return float(((rippled + torch.linalg.vector_norm(self.slopes, dim=-1)) ** 2).mean())

    def value(self, w: Tensor) -> Tensor:
        """L(w), shape (*batch)."""
        return self.mean.value(w)

    def grad(self, w: Tensor) -> Tensor:
        """Gradient of L."""
        return self.mean.gradient(w)

    def sampled_grad(self, w: Tensor, batch: Tensor) -> Tensor:
        """Mean gradient of the terms in a batch (*batch, b) of indices, at w (*batch, d)."""
        g = self.mean.gradient(w) + self.slopes[batch].mean(-2)
        if not bool(self.scales.any()):
            return g
        return g + self.scales[batch].mean(-1, keepdim=True) * self.ripple.gradient(w)


@dataclass(eq=False)
class Sampled(Oracle):
    """A finite sum as one stochastic step sees it: each gradient asked for is that of a minibatch.

    Args:
        whole: the finite sum.
        batches: indices (calls, *batch, b): the k-th gradient is that of the k-th batch, and those
            after the last that of the last.
    """

    whole: FiniteSum
    batches: Tensor
    asked: int = 0

    @property
    def ndim(self) -> int:
        """Trailing dimensions of one parameter."""
        return 1

    def value(self, w: Tensor) -> Tensor:
        """L(w), without noise."""
        return self.whole.value(w)

    def grad(self, w: Tensor) -> Tensor:
        """Gradient of the minibatch whose turn it is."""
        batch = self.batches[min(self.asked, len(self.batches) - 1)]
        self.asked += 1
        return self.whole.sampled_grad(w, batch)

    def sharpness_batches(self, batch_size: int) -> Sampled:
        """The minibatch as the one batch of m-SAM with m = b."""
        if batch_size != self.batches.shape[-1]:
            raise ValueError(f"m-SAM with m = {batch_size} on batches of {self.batches.shape[-1]}")
        return Sampled(self.whole, self.batches.unsqueeze(-2))

    def batch_weight(self, batch_size: int) -> float:
        """One: there is one batch."""
        return 1.0


def random_batches(
    seed: int, n: int, *, steps: int, calls: int, runs: tuple[int, ...], size: int
) -> Tensor:
    """Indices drawn with replacement, independent of each other.

    Args:
        seed: of the draws.
        n: number of terms.
        steps: how many steps.
        calls: batches a step: 1 when ascent and descent share one, 2 when each has its own.
        runs: batch shape of the runs.
        size: b.

    Returns:
        Shape (steps, calls, *runs, size), int64.
    """
    stream = torch.Generator().manual_seed(seed)
    return torch.randint(n, (steps, calls, *runs, size), generator=stream)


def all_batches(n: int, *, calls: int, size: int) -> Tensor:
    """Every outcome of `calls` batches drawn with replacement, all equally likely.

    Returns:
        Shape (1, calls, n^(calls * size), 1, size), int64: one step, and a dimension for points.
        The mean over the outcomes is an expectation, exactly.
    """
    outcomes = torch.tensor(list(itertools.product(range(n), repeat=calls * size)))
    return outcomes.reshape(-1, calls, size).movedim(0, 1)[None, :, :, None, :]
