r"""Diagonal networks in closed form: what each rule does to the weights, and to their product.

On f(x) = <w_+^2 - w_-^2, x> with L = (1/4n) sum_i r_i^2 (understanding_sam (5)) every rule here
multiplies the weights coordinate by coordinate,

    dw_+-/dt = -w_+- * (shrink +- pull),      pull = (1/n) X^T r_sam,

so that sqrt(w_+ w_-) = alpha e^{-E} with E the integral of `shrink`, and the predictor is
2 (alpha e^{-E})^2 sinh(-2 * integral of pull). The formulas are written out from the paper's
App. B instead of being asked of the optimizers, so that they judge them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limitpoint.problems.models import DiagonalDifference
from limitpoint.problems.problem import Problem


class Field(NamedTuple):
    """The relative velocity of the weights: dw_+-/dt = -w_+- * (shrink +- pull).

    Args:
        pull: what moves w_+ against w_-, shape (*batch, d).
        shrink: what makes both smaller, shape (*batch, d).
    """

    pull: Tensor
    shrink: Tensor


def residual(problem: Problem, w: Tensor) -> Tensor:
    """r_i = f(x_i) - y_i at w (*batch, 2, d): shape (*batch, n)."""
    return problem.predict(w) - problem.y


def _mean_rows(weights: Tensor, X: Tensor) -> Tensor:
    """(1/n) sum_i weights_i x_i, shape (*batch, d)."""
    return (weights.unsqueeze(-2) @ X).squeeze(-2) / X.shape[-2]


def _moved(w: Tensor, scale: Tensor) -> Tensor:
    """The predictor after the ascent w_+- (1 +- scale)."""
    return w[..., 0, :] ** 2 * (1 + scale) ** 2 - w[..., 1, :] ** 2 * (1 - scale) ** 2


def gd_field(problem: Problem, w: Tensor) -> Field:
    """Gradient descent: pull = (1/n) X^T r and nothing shrinks (understanding_sam (9)).

    Args:
        problem: a `DiagonalDifference` with L = (1/4n) sum_i r_i^2.
        w: weights, shape (*batch, 2, d).
    """
    pull = _mean_rows(residual(problem, w), problem.X)
    return Field(pull, torch.zeros_like(pull))


def n_sam_field(problem: Problem, w: Tensor, rho: float | Tensor) -> Field:
    """n-SAM: shrink = (rho/n^2) (X^T r_sam) * (X^T r) (understanding_sam, proof of Theorem 4).

    Args:
        problem: a `DiagonalDifference` with L = (1/4n) sum_i r_i^2.
        w: weights, shape (*batch, 2, d).
        rho: radius, a number or shape (*batch, 1).
    """
    gradient = _mean_rows(residual(problem, w), problem.X)
    ascended = _moved(w, rho * gradient)
    r_sam = (problem.X @ ascended.unsqueeze(-1)).squeeze(-1) - problem.y
    pull = _mean_rows(r_sam, problem.X)
    return Field(pull, rho * pull * gradient)


def one_sam_field(problem: Problem, w: Tensor, rho: float | Tensor) -> Field:
    """1-SAM: shrink = (rho/n) sum_i x_i^2 r_sam,i r_i (understanding_sam, proof of Theorem 5).

    The ascent is rho grad l_i with the paper's own l_i = r_i^2 / 4, w_+- (1 +- rho r_i x_i); its
    proof writes 4 rho there and the authors' code 2 rho.

    Args:
        problem: a `DiagonalDifference` with L = (1/4n) sum_i r_i^2.
        w: weights, shape (*batch, 2, d).
        rho: radius, a number or shape (*batch, 1).
    """
    r = residual(problem, w)
    ascended = _moved(w.unsqueeze(-3), (rho * r).unsqueeze(-1) * problem.X)
    r_sam = (problem.X * ascended).sum(-1) - problem.y
    return Field(_mean_rows(r_sam, problem.X), rho * _mean_rows(r_sam * r, problem.X**2))


def leading_integrands(problem: Problem, w: Tensor) -> tuple[Tensor, Tensor]:
    """I_nSAM = ((1/n) X^T r)^2 and I_1SAM = (1/n) sum_i x_i^2 r_i^2 (understanding_sam, B.3).

    What multiplies rho in `shrink` to first order; each of shape (*batch, d).
    """
    r = residual(problem, w)
    return _mean_rows(r, problem.X) ** 2, _mean_rows(r**2, problem.X**2)


def n_sam_orders(problem: Problem, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """n-SAM's `shrink` by powers of rho, rho to rho^3, each of shape (*batch, d): no more follow.

    With a = (1/n) X^T r they are a times (1/n) X^T of the parts of r_sam = r + 2 rho X [a *
    (w_+^2 + w_-^2)] + rho^2 X [a^2 * beta] (understanding_sam, B.1, its slips corrected).
    """
    r, X = residual(problem, w), problem.X
    a, size = _mean_rows(r, X), (w**2).sum(-2)
    parts = (2 * a * size, a**2 * DiagonalDifference.predictor(w))
    second, third = (_mean_rows((X @ part.unsqueeze(-1)).squeeze(-1), X) for part in parts)
    return a * a, a * second, a * third


def one_sam_orders(problem: Problem, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """1-SAM's `shrink` by powers of rho, rho to rho^3, each of shape (*batch, d): no more follow.

    They are (1/n) sum_i x_i^2 r_i times the parts of r_sam,i = r_i (1 + 2 rho <w_+^2 + w_-^2,
    x_i^2> + rho^2 r_i <beta, x_i^3>) (understanding_sam (16), where 4 rho stands for rho).
    """
    r, X, square = residual(problem, w), problem.X, problem.X**2
    size, beta = (w**2).sum(-2), DiagonalDifference.predictor(w)
    second = 2 * (square @ size.unsqueeze(-1)).squeeze(-1)
    third = r * (X**3 @ beta.unsqueeze(-1)).squeeze(-1)
    first, second, third = (
        _mean_rows(r**2 * part, square) for part in (torch.ones_like(r), second, third)
    )
    return first, second, third


def times_to_rest(problem: Problem) -> NDArray[np.float64]:
    """Zero, and 60 times until gradient flow's residual would be at rounding."""
    end = 35 * relaxation_time(problem)
    return np.concatenate([[0], np.geomspace(1e-4 * end, end, 60)])


def flow_predictor(alpha: Tensor, pulled: Tensor) -> Tensor:
    """2 alpha^2 sinh(-2 pulled): the predictor of a flow (understanding_sam, App. B).

    Args:
        alpha: effective scale sqrt(w_+ w_-), shape (*batch, d).
        pulled: integral of `Field.pull` over time, shape (*batch, d).
    """
    return 2 * alpha**2 * torch.sinh(-2 * pulled)


def relaxation_time(problem: Problem) -> float:
    """Time in which gradient flow makes the residual e times smaller, at worst.

    n / (4 min alpha^2 lambda_min(X X^T)): r' = -(2/n) X diag(w_+^2 + w_-^2) X^T r, and w_+ w_-
    stays at alpha^2. A rule that shrinks alpha can take longer.

    Args:
        problem: a `DiagonalDifference` with L = (1/4n) sum_i r_i^2 and X of full row rank.
    """
    alpha = torch.sqrt(problem.start[..., 0, :] * problem.start[..., 1, :]).min()
    least = torch.linalg.svdvals(problem.X)[..., -1].min() ** 2
    return float(problem.n / (4 * alpha**2 * least))


def discrete_alpha(alpha: Tensor | float, field: Field, step: float) -> Tensor:
    """Effective scale after steps of a finite size: alpha sqrt(prod_k ((1 - s b_k)^2 - s^2 a_k^2)).

    Here s is the step size, a the pull and b the shrinkage; derived, as
    w_+- is multiplied by 1 - s (b +- a).

    Args:
        alpha: scale at the start.
        field: at each step, shape (T, *batch, d).
        step: step size.

    Returns:
        Shape (T, *batch, d); NaN where the product of the two weights is negative.
    """
    factors = (1 - step * field.shrink) ** 2 - (step * field.pull) ** 2
    return alpha * torch.sqrt(factors.cumprod(0))
