"""What is measured along a run: pure functions of a problem and its iterates."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from limitpoint.numerics import Value, largest, log, ratio
from limitpoint.problems.losses import CrossEntropy, MulticlassLoss
from limitpoint.problems.models import Linear, MulticlassLinear
from limitpoint.problems.problem import Problem
from limitpoint.theory.limits.norms import dual_of


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


def log_class_proxies(problem: Problem, w: Tensor) -> tuple[Tensor, Tensor]:
    """log G_c and log Q_c: the proxy, split by true class and by wrong class (signgd_adam, Sec. 6).

    G_c = (1/n) sum_{y_i = c} (1 - s_ic) and Q_c = (1/n) sum_{y_i != c} s_ic for cross-entropy.

    Args:
        problem: multiclass.
        w: iterates, shape (*batch, k, d).

    Returns:
        Two of shape (*batch, k).
    """
    loss: MulticlassLoss = problem.loss  # type: ignore[assignment]
    wrong = loss.log_residual(loss.gaps(problem.predict(w), problem.y))
    each = torch.nn.functional.one_hot(problem.y, wrong.shape[-1]).bool()
    mine = torch.where(each, torch.logsumexp(wrong, dim=-1, keepdim=True), -torch.inf)
    shift = math.log(problem.n)
    return torch.logsumexp(mine, dim=-2) - shift, torch.logsumexp(wrong, dim=-2) - shift


def reach(problem: Problem, norm: float | str) -> Tensor:
    """How far a unit step can move a margin: max_{i, c != y_i} ||(e_y - e_c) x_i^T||_*.

    2^(1/q) max_i ||x_i||_q with 1/p + 1/q = 1, and sqrt(2) max_i ||x_i||_2 for a Schatten norm. For
    the max-norm that is the 2B of signgd_adam (Assumption 3.5), which its App. E keeps for every p.

    Args:
        problem: of two classes or more, linear.
        norm: entrywise p >= 1, "spectral" or "nuclear".

    Returns:
        Shape (*batch).
    """
    q = 2.0 if isinstance(norm, str) else float(dual_of(norm))
    return 2 ** (1 / q) * torch.linalg.vector_norm(problem.X, q, dim=-1).amax(-1)


def log_dual_norm(problem: Problem, w: Tensor, norm: float | str) -> Tensor:
    """log ||grad L(w)||_*, in the dual of a norm; finite however small the loss is.

    Args:
        problem: any.
        w: iterates, shape (*batch, *parameter).
        norm: entrywise p >= 1, "spectral" or "nuclear".

    Returns:
        Shape (*batch).
    """
    return log_dual_size(problem, problem.grad(w), norm)


def log_dual_size(problem: Problem, g: Value, norm: float | str) -> Tensor:
    """log ||g||_* of a gradient that is at hand; see `log_dual_norm`."""
    dual = dual_of(norm)  # type: ignore[arg-type]
    peak = largest(g, problem.dims)
    return matrix_norm(ratio(g, peak), dual, problem.ndim).log() + log(peak).flatten(
        -problem.ndim
    ).squeeze(-1)


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


def hessian_trace(problem: Problem, w: Tensor) -> Tensor:
    """Trace of the Hessian of a linear model under cross-entropy, shape (*batch).

    weight * sum_i ||x_i||^2 sum_c p_ic (1 - p_ic), p the softmax of the logits (usam_report,
    Sec. 4).

    Raises:
        TypeError: another model or loss.
    """
    if not isinstance(problem.model, MulticlassLinear) or not isinstance(
        problem.loss, CrossEntropy
    ):
        raise TypeError(f"{problem.name}: no trace of the Hessian is known for it")
    p = torch.softmax(problem.predict(w), dim=-1)
    spread = (p * (1 - p)).sum(-1)
    return problem.loss.weight(problem.n) * (spread * (problem.X**2).sum(-1)).sum(-1)


def effective_alpha(w: Tensor) -> Tensor:
    """sqrt(w_+ w_-) of a `DiagonalDifference` parameter (*batch, 2, d): shape (*batch, d).

    The scale alpha at which beta / (2 alpha^2) = sinh(X^T nu) (understanding_sam, App. B).
    """
    return torch.sqrt(w[..., 0, :] * w[..., 1, :])
