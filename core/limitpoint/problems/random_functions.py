"""Random smooth, convex and strongly convex functions, many side by side."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from limitpoint.problems.problem import Objective
from limitpoint.problems.randomness import generator, tensor


def cosine_waves(
    seed: int, count: int = 20, d: int = 4, *, terms: int = 3, beta: float = 1.0
) -> Objective:
    """L(w) = sum_k a_k cos(<v_k, w> + b_k): beta-smooth, not convex.

    beta is the top eigenvalue of sum_k |a_k| v_k v_k^T, exactly: with terms <= d there are points
    where every cosine is sign(a_k) (curvature -beta), and others where none is (+beta).

    Args:
        seed: of the functions.
        count: how many functions; the objective is over (*batch, count, points, d).
        d: dimension.
        terms: waves of each function, <= d.
        beta: smoothness of each.
    """
    rng = generator("cosine-waves", seed)
    v, b = tensor(rng.standard_normal((count, terms, d))), tensor(rng.uniform(0, 6, (count, terms)))
    a = tensor(rng.choice([-1.0, 1.0], (count, terms)) * rng.uniform(0.2, 1, (count, terms)))
    a = beta * a / _top_eigenvalue(a.abs(), v)
    a, b = a.unsqueeze(-2), b.unsqueeze(-2)
    return Objective(
        "cosine-waves",
        lambda w: (a * torch.cos(w @ v.mT + b)).sum(-1),
        lambda w: -(a * torch.sin(w @ v.mT + b)) @ v,
        {"beta": beta},
    )


def ridges(
    seed: int,
    count: int = 20,
    d: int = 4,
    *,
    terms: int = 6,
    beta: float = 1.0,
    mu: float = 0.0,
    centred: bool = False,
) -> Objective:
    """L(w) = sum_k a_k log cosh(<v_k, w> + b_k) + mu |w|^2 / 2: beta-smooth, mu-strongly convex.

    The ridges' smoothness is the top eigenvalue of sum_k a_k v_k v_k^T, made beta - mu. Far out
    their curvature vanishes, so that mu is the best constant of strong convexity.

    Args:
        seed: of the functions.
        count: how many functions; the objective is over (*batch, count, points, d).
        d: dimension.
        terms: ridges of each function.
        beta: smoothness of each.
        mu: in [0, beta).
        centred: all b_k = 0, so that the minimiser is w = 0 and the minimum 0.
    """
    if not 0 <= mu < beta:
        raise ValueError(f"mu {mu}: must be in [0, beta)")
    rng = generator("ridges", seed)
    v, b = (
        tensor(rng.standard_normal((count, terms, d))),
        tensor(rng.uniform(-2, 2, (count, terms))),
    )
    b = torch.zeros_like(b) if centred else b
    a = tensor(rng.uniform(0.2, 1, (count, terms)))
    a = (beta - mu) * a / _top_eigenvalue(a, v)
    a, b = a.unsqueeze(-2), b.unsqueeze(-2)
    return Objective(
        "ridges",
        lambda w: (a * _log_cosh(w @ v.mT + b)).sum(-1) + mu / 2 * (w**2).sum(-1),
        lambda w: (a * torch.tanh(w @ v.mT + b)) @ v + mu * w,
        {"beta": beta, "mu": mu},
    )


def _top_eigenvalue(a: Tensor, v: Tensor) -> Tensor:
    """Largest eigenvalue of sum_k a_k v_k v_k^T, shape (count, 1), rounded up."""
    roots = a.sqrt().unsqueeze(-1) * v
    return torch.linalg.matrix_norm(roots, 2).square().unsqueeze(-1) * (1 + 1e-12)


def _log_cosh(u: Tensor) -> Tensor:
    """Log cosh u without overflow."""
    u = u.abs()
    return u + torch.log1p(torch.exp(-2 * u)) - float(np.log(2))
