"""Interpolators of least norm: l2, where gradient descent on a linear model ends, and l1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from limitpoint.theory.limits._certificate import (
    Array,
    Uncertified,
    as_finite,
    as_system,
    require_closed,
    thin_svd,
)


@dataclass(frozen=True)
class Interpolator:
    """A certified ``argmin 1/2 ||w - w0||_2^2  s.t.  X w = y``.

    Attributes:
        value: the primal value ``1/2 ||w - w0||_2^2``.
        solution: w, float64 (d,).
        dual: multipliers lambda, float64 (n,), with ``w - w0 = X^T lambda``.
        gap: primal minus dual value.
        residual: ``||X w - y||_2``.
    """

    value: float
    solution: Array
    dual: Array
    gap: float
    residual: float


def min_distance_interpolator(
    X: ArrayLike, y: ArrayLike, start: ArrayLike | None = None, *, tol: float = 1e-10
) -> Interpolator:
    """The interpolator nearest to `start` in l2: ``w0 + X^+ (y - X w0)``.

    The certificate is the Lagrange dual
    ``max_lambda  lambda . (y - X w0) - 1/2 ||X^T lambda||^2``: the gap must be within
    ``tol * value`` and the residual within ``tol * max(||y||, ||X w0||)``.

    Args:
        X: float64 (n, d), any rank.
        y: float64 (n,), in the range of `X`.
        start: w0, float64 (d,); zero by default.
        tol: relative tolerance, > 0.

    Raises:
        Uncertified: `y` is not attainable, or `X` is too ill-conditioned for `tol`.
        ValueError: shapes that do not match, or values that are not finite.

    Source: Gunasekar et al. 2018, "Characterizing implicit bias", Theorem 1 (squared loss).
    """
    X, y = as_system(X, y)
    w0 = np.zeros(X.shape[1]) if start is None else as_finite("start", start, 1)
    if w0.shape != X.shape[1:]:
        raise ValueError(f"Invalid start: shape {w0.shape}. Must be ({X.shape[1]},).")
    target = y - X @ w0
    dual = _multipliers(X, target)
    solution = w0 + X.T @ dual
    value, gap = _values(solution - w0, X.T @ dual, float(dual @ target))
    residual = float(np.linalg.norm(X @ solution - y))
    scale = float(max(np.linalg.norm(y), np.linalg.norm(X @ w0)))
    require_closed("min-distance interpolator", "residual", residual, scale, tol)
    require_closed("min-distance interpolator", "gap", gap, value, tol)
    return Interpolator(value, solution, dual, gap, residual)


def _multipliers(X: Array, target: Array) -> Array:
    """``(X X^T)^+ target`` by the SVD, with one step of refinement."""
    U, s, _ = thin_svd(X)
    dual = U @ ((U.T @ target) / s**2)
    return dual + U @ ((U.T @ (target - X @ (X.T @ dual))) / s**2)


def _values(moved: Array, row: Array, linear: float) -> tuple[float, float]:
    primal = 0.5 * float(moved @ moved)
    return primal, primal - (linear - 0.5 * float(row @ row))


@dataclass(frozen=True)
class SparseInterpolator:
    """A certified ``argmin ||w||_1  s.t.  X w = y`` (basis pursuit).

    Attributes:
        value: ``||w||_1``.
        solution: w, float64 (d,).
        dual: multipliers lambda, float64 (n,), with ``||X^T lambda||_inf <= 1``.
        gap: ``||w||_1 - lambda . y``.
        residual: ``||X w - y||_2``.
    """

    value: float
    solution: Array
    dual: Array
    gap: float
    residual: float


def min_l1_interpolator(X: ArrayLike, y: ArrayLike, *, tol: float = 1e-9) -> SparseInterpolator:
    """The interpolator of least l1 norm, by the simplex method; any one, where there are several.

    The dual is ``max_lambda  lambda . y`` over ``||X^T lambda||_inf <= 1``: the gap must be within
    ``tol * value`` and the residual within ``tol * ||y||``.

    Args:
        X: float64 (n, d), any rank.
        y: float64 (n,), in the range of `X`.
        tol: relative tolerance, > 0.

    Raises:
        Uncertified: `y` is not attainable, or the certificate does not close.
        ValueError: shapes that do not match, or values that are not finite.
    """
    X, y = as_system(X, y)
    d = X.shape[1]
    found = scipy.optimize.linprog(
        np.ones(2 * d), A_eq=np.hstack([X, -X]), b_eq=y, method="highs-ds"
    )
    if found.x is None:
        raise Uncertified(f"min-l1 interpolator: {found.message}")
    solution = found.x[:d] - found.x[d:]
    dual = found.eqlin.marginals
    dual = dual / max(1.0, float(np.abs(X.T @ dual).max()))
    value = float(np.abs(solution).sum())
    gap, residual = value - float(dual @ y), float(np.linalg.norm(X @ solution - y))
    require_closed("min-l1 interpolator", "residual", residual, float(np.linalg.norm(y)), tol)
    require_closed("min-l1 interpolator", "gap", gap, value, tol)
    return SparseInterpolator(value, solution, dual, gap, residual)
