"""What is measured along a run: pure functions of a problem and its iterates."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from limitpoint.models import Linear
from limitpoint.problem import Problem


def margin(problem: Problem, w: Tensor) -> Tensor:
    """Least margin min_i y_i f(x_i), or min over i and c != y_i of f_y - f_c; shape (*batch).

    Args:
        problem: a classification problem.
        w: iterates, shape (*batch, *parameter).
    """
    margins = problem.margins(w)
    return margins.flatten(-2).amin(-1) if problem.classes else margins.amin(-1)


def matrix_norm(w: Tensor, norm: float | str, ndim: int) -> Tensor:
    """Entrywise p-norm, or "spectral" or "nuclear", of each parameter; shape (*batch)."""
    dims = tuple(range(-ndim, 0))
    if norm == "spectral":
        return torch.linalg.matrix_norm(w, 2)
    if norm == "nuclear":
        return torch.linalg.matrix_norm(w, "nuc")
    return torch.linalg.vector_norm(w, float(norm), dim=dims)


def normalised_margin(problem: Problem, w: Tensor, norm: float | str) -> Tensor:
    """margin / ||w||, the quantity that the max-margin solution maximises; NaN at w = 0."""
    return margin(problem, w) / matrix_norm(w, norm, problem.ndim)


def log_proxy(problem: Problem, w: Tensor) -> Tensor:
    """log G(W), G = (1/n) sum_i (1 - softmax_y): the proxy of cross-entropy (signgd_adam (7))."""
    logs = problem.loss.log_proxy(problem.predict(w), problem.y)  # type: ignore[attr-defined]
    return torch.logsumexp(logs, dim=-1) - math.log(problem.n)


def off_span(X: Tensor, displacement: Tensor) -> Tensor:
    """Length of the part of w - w_0 (*batch, d) that is orthogonal to the rows of X (n, d)."""
    basis = torch.linalg.qr(X.mT).Q
    return torch.linalg.vector_norm(displacement - (displacement @ basis) @ basis.mT, dim=-1)


def smoothness(problem: Problem) -> float:
    """beta of a linear model: weight * max l'' * ||X||_2^2, an upper bound on the Hessian.

    Raises:
        TypeError: the model is not linear, or the loss has no curvature bound.
    """
    if not isinstance(problem.model, Linear) or math.isinf(problem.loss.curvature):
        raise TypeError(f"{problem.name}: no smoothness constant is known for it")
    top = float(torch.linalg.matrix_norm(problem.X, 2))
    return problem.loss.weight(problem.n) * problem.loss.curvature * top**2


def effective_alpha(w: Tensor) -> Tensor:
    """sqrt(w_+ w_-) of a `DiagonalDifference` parameter (*batch, 2, d): shape (*batch, d).

    The scale alpha at which beta / (2 alpha^2) = sinh(X^T nu) (understanding_sam, App. B).
    """
    return torch.sqrt(w[..., 0, :] * w[..., 1, :])
