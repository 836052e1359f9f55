"""m-sharpness: how much the loss can rise within a ball, batch by batch (understanding_sam (1))."""

from __future__ import annotations

import torch
from torch import Tensor

from limitpoint.numerics import ratio, tensor
from limitpoint.problems.losses import FiniteRootLoss
from limitpoint.problems.models import Linear
from limitpoint.problems.problem import Problem


def linear_one_sharpness(problem: Problem, w: Tensor, rho: float) -> Tensor:
    """1-sharpness of a linear model: each example's worst perturbation is along its input.

    For a decreasing loss of the margin m_i = y_i <w, x_i> it is the weighted sum of l(m_i - rho
    |x_i|) - l(m_i) (understanding_sam, Sec. 3); for an even loss of the residual r_i, growing away
    from zero, of l(|r_i| + rho |x_i|) - l(r_i).

    Args:
        problem: a binary classification or regression problem with a linear model.
        w: shape (*batch, d).
        rho: radius >= 0.

    Returns:
        Shape (*batch).
    """
    if not isinstance(problem.model, Linear):
        raise TypeError(f"{problem.name}: the closed form is that of a linear model")
    size, y, u = torch.linalg.vector_norm(problem.X, dim=-1), problem.y, problem.predict(w)
    away = torch.where(u >= y, 1.0, -1.0) if isinstance(problem.loss, FiniteRootLoss) else -y
    rise = problem.loss.values(u + rho * size * away, y) - problem.loss.values(u, y)
    return problem.loss.weight(problem.n) * rise.sum(-1)


def ascended_sharpness(
    problem: Problem, w: Tensor, rho: float, batch_size: int, steps: int = 20
) -> Tensor:
    """m-sharpness by projected gradient ascent: a lower bound on it.

    The steps are 2 rho long along the gradient, from a start off the centre, where an interpolator
    has no gradient.

    Args:
        problem: the problem.
        w: shape (*batch, *parameter).
        rho: radius > 0.
        batch_size: m.
        steps: how many.

    Returns:
        Shape (*batch).
    """
    batches = problem.sharpness_batches(batch_size)
    centre = w.unsqueeze(-problem.ndim - 1)
    shape = (*centre.shape[: -problem.ndim - 1], problem.n // batch_size, *w.shape[-problem.ndim :])
    delta = torch.full(shape, 1e-3 * rho, dtype=w.dtype)
    for _ in range(steps):
        g = batches.grad(centre + delta)
        delta = delta + 2 * rho * ratio(g, batches.norm(g))
        delta = delta * (rho / tensor(batches.norm(delta))).clamp(max=1.0)
    rise = batches.value(centre + delta) - batches.value(centre)
    return rise.mean(-1) * problem.batch_weight(batch_size)
