"""What one step of n-SAM is sure to gain (understanding_sam, Lemma 8), and where from."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor


def smooth_gain(gamma: Tensor, rho: Tensor, beta: float) -> Tensor:
    """gamma (1 - rho beta) (1 - gamma beta (1 - rho beta) / 2), on a beta-smooth function.

    L(w_+) <= L(w) - gain |grad L(w)|^2 for gamma <= 1 / beta (Lemma 8, first bound).
    """
    aligned = 1 - rho * beta
    return gamma * aligned * (1 - gamma * beta / 2 * aligned)


def convex_gain(gamma: Tensor, rho: Tensor, beta: float, mu: float) -> Tensor:
    """gamma (1 - gamma beta / 2 + rho mu (1 - gamma beta - gamma rho beta^2 / 2)).

    L(w_+) <= L(w) - gain |grad L(w)|^2 on a beta-smooth mu-strongly convex function (mu = 0 is
    convex), for gamma beta (2 + rho beta) <= 2 (Lemma 8, second bound, with its condition
    corrected: see sam/erratum-lemma-8).
    """
    bend = gamma * beta
    return gamma * (1 - bend / 2 + rho * mu * (1 - bend - bend * rho * beta / 2))


def pairs(
    beta: float, steps: Sequence[float], radii: Sequence[float], dims: int = 2
) -> tuple[Tensor, Tensor]:
    """Every step size with every radius, both in units of 1 / beta.

    Args:
        beta: smoothness.
        steps: gamma * beta.
        radii: rho * beta.
        dims: how many dimensions of size one follow the pairs', so that they broadcast.

    Returns:
        gamma and rho, each of shape (pairs, 1, ..., 1), float64.
    """
    product = torch.tensor(list(itertools.product(steps, radii)), dtype=torch.float64) / beta
    gamma, rho = product.unbind(-1)
    shape = (-1, *[1] * dims)
    return gamma.reshape(shape), rho.reshape(shape)


def uniform_starts(seed: int, pairs: int, count: int, d: int, reach: float) -> Tensor:
    """The same `count` points of the cube [-reach, reach]^d for each pair: (pairs, count, d)."""
    cube = 2 * torch.rand(count, d, generator=torch.Generator().manual_seed(seed)).double() - 1
    return (reach * cube).expand(pairs, -1, -1)
