"""Separable data built from their support vectors, so that limits are reached at a known rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from limitpoint.problems.losses import Logistic, MarginLoss
from limitpoint.problems.models import Linear
from limitpoint.problems.problem import Problem
from limitpoint.problems.randomness import generator, tensor

# Least eigenvalue of sum_i alpha_i x_i x_i^T across w_hat; along w_hat it is always 1.
_ACROSS = 1.25


def support_simplex(
    seed: int,
    d: int = 4,
    n: int = 12,
    theta: float = 2.0,
    *,
    spread: float | None = None,
    direction: Sequence[float] | None = None,
    loss: MarginLoss | None = None,
) -> Problem:
    """d support vectors w_hat + v_i around a unit SVM solution w_hat, the v_i a jittered simplex.

    With weights p_i and sum_i p_i v_i = 0, w_hat = sum_i p_i x_i has margin 1 at each x_i: it is
    the SVM solution, and its multipliers are the p_i. On such data the residual w(t) - w_hat log t
    of gradient descent converges like t^-min(theta - 1, 1): the least eigenvalue of
    sum_i p_i x_i x_i^T, the third rate in play, is 1. On Gaussian data the exponent is mostly
    below 0.2, and no residual is ever seen to converge.

    Args:
        seed: of the data.
        d: inputs, >= 2; also the number of support vectors, which span the space.
        n: examples, >= d, of both labels; those beyond d have a margin in [theta, theta + 1].
        theta: least margin of w_hat at the others, > 1.
        spread: w_hat points along random signs with |entries| within this ratio of each other;
            None draws it uniformly from the sphere.
        direction: where w_hat points, of any length, instead of a drawn direction; shape (d,).
        loss: of the margin; the logistic loss, summed, by default.

    Raises:
        ValueError: d, n or theta out of range.
    """
    if d < 2 or n < d or not theta > 1:
        raise ValueError(f"d = {d}, n = {n}, theta = {theta}: must be d >= 2, n >= d, theta > 1")
    rng = generator("support-simplex", seed)
    w_hat = _direction(rng, d, spread)
    if direction is not None:
        w_hat = np.asarray(direction) / np.linalg.norm(direction)
    across = _complement(w_hat)
    margins = np.concatenate([np.ones(d), theta + rng.random(n - d)])
    sideways = np.concatenate([_simplex(rng, d), rng.standard_normal((n - d, d - 1))])
    y = rng.choice([-1.0, 1.0], n)
    X = y[:, None] * (margins[:, None] * w_hat + sideways @ across)
    start = torch.zeros(d, dtype=torch.float64)
    loss = loss or Logistic()
    return Problem("support-simplex", Linear(), loss, tensor(X), tensor(y), start)


def _direction(rng: np.random.Generator, d: int, spread: float | None) -> np.ndarray:
    w = rng.standard_normal(d)
    if spread is not None:
        w = np.sign(w) * rng.uniform(1.0, 1.0 + spread, d)
    return w / np.linalg.norm(w)


def _complement(unit: np.ndarray) -> np.ndarray:
    """Orthonormal rows (d - 1, d) across a unit vector, by one reflection: the same everywhere."""
    mirror = unit.copy()
    mirror[0] += np.copysign(1.0, unit[0])
    return (np.eye(len(unit)) - 2 * np.outer(mirror, mirror) / (mirror @ mirror))[1:]


def _simplex(rng: np.random.Generator, d: int) -> np.ndarray:
    """d points of R^(d-1) with sum_i p_i v_i = 0, the p_i within a factor two of each other."""
    corners = _complement(np.full(d, d**-0.5)).T
    v = corners + 0.15 * rng.standard_normal((d, d - 1))
    p = rng.uniform(0.7, 1.3, d)
    p /= p.sum()
    v -= p @ v
    return v * np.sqrt(_ACROSS / np.linalg.eigvalsh((p[:, None] * v).T @ v)[0])


def lopsided(*, loss: MarginLoss | None = None) -> Problem:
    """x = (1, 1), (1, -1), (3, 8), all of label 1: whoever maximises the sum of margins errs.

    The SVM solution is (1, 0) with multipliers (1/2, 1/2, 0). The sum of the margins over the unit
    ball is largest at (5, 8) / sqrt(89), on whose wrong side the second example lies.

    Args:
        loss: of the margin; the logistic loss, summed, by default.
    """
    X = torch.tensor([[1.0, 1.0], [1.0, -1.0], [3.0, 8.0]], dtype=torch.float64)
    y, start = torch.ones(3, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    return Problem("lopsided", Linear(), loss or Logistic(), X, y, start)
