"""Hyperbolic entropy, and the interpolator that minimises it: where diagonal networks end."""

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

_CONTINUATION = 0.5
_MAX_NEWTON = 200


@dataclass(frozen=True)
class PotentialInterpolator:
    """A certified ``argmin phi_alpha(beta)  s.t.  X beta = y``.

    Attributes:
        value: ``phi_alpha(beta)``.
        solution: beta, float64 (d,), equal to ``2 alpha^2 sinh(X^T nu)`` to the rounding of nu.
        dual: multipliers nu, float64 (n,).
        gap: ``phi_alpha(beta) + phi_alpha^*(X^T nu) - <beta, X^T nu>``, summed coordinate by
            coordinate; it is the duality gap, since an interpolator has
            ``<beta, X^T nu> = <y, nu>``.
        residual: ``||X beta - y||_2``.
    """

    value: float
    solution: Array
    dual: Array
    gap: float
    residual: float


def hyperbolic_entropy(beta: ArrayLike, alpha: ArrayLike) -> float:
    r"""``phi_alpha(beta) = sum_i alpha_i^2 q(beta_i / alpha_i^2)``.

    ``q(z) = 2 - sqrt(4 + z^2) + z arcsinh(z / 2)``, computed with ``t = arcsinh(z / 2)`` as
    ``z t - 4 sinh(t / 2)^2``, which keeps its digits for tiny and for huge z.

    Args:
        beta: float64 (d,).
        alpha: initial scale of the weights, > 0, scalar or (d,).

    Raises:
        ValueError: alpha not positive.

    Source: Woodworth et al. 2020, Theorem 1.
    """
    return float(_entropies(np.asarray(beta, dtype=np.float64), _as_alpha(alpha)).sum())


def hyperbolic_entropy_gradient(beta: ArrayLike, alpha: ArrayLike) -> Array:
    """``arcsinh(beta / (2 alpha^2))``, float64 (d,); arguments as in `hyperbolic_entropy`."""
    alpha = _as_alpha(alpha)
    return np.arcsinh(np.asarray(beta, dtype=np.float64) / (2.0 * alpha**2))


def kkt_residual(beta: ArrayLike, X: ArrayLike, alpha: ArrayLike) -> float:
    """Relative distance of ``g = arcsinh(beta / (2 alpha^2))`` from the row space of X.

    ``||(I - P) g||_2 / ||g||_2`` in [0, 1]; zero exactly where beta is the minimiser of
    ``phi_alpha`` among the interpolators of ``X beta``. Zero for beta = 0.

    Args:
        beta: float64 (d,).
        X: float64 (n, d).
        alpha: > 0, scalar or (d,).
    """
    g = hyperbolic_entropy_gradient(beta, alpha)
    _, _, Vt = thin_svd(as_finite("X", X, 2))
    off = g - Vt.T @ (Vt @ g)
    size = float(np.linalg.norm(g))
    return float(np.linalg.norm(off)) / size if size > 0.0 else 0.0


def min_potential_interpolator(
    X: ArrayLike, y: ArrayLike, alpha: ArrayLike, *, tol: float = 1e-12
) -> PotentialInterpolator:
    """The interpolator of least hyperbolic entropy, by damped Newton on the dual.

    The dual is ``max_nu <y, nu> - phi_alpha^*(X^T nu)``, and ``beta = 2 alpha^2 sinh(X^T nu)``;
    small alpha is reached by continuation from a large one. The gap must be within ``tol * value``,
    the residual within ``tol * ||y||``.

    Args:
        X: float64 (n, d), any rank.
        y: float64 (n,), in the range of `X`.
        alpha: initial scale of the weights, scalar or (d,); 1e-6 to 1e2 are tested.
        tol: relative tolerance, > 0.

    Raises:
        Uncertified: `y` is not attainable, or Newton stalls above `tol`.
        ValueError: shapes that do not match, alpha not positive, or values that are not finite.

    Source: Woodworth et al. 2020, Theorem 1.
    """
    X, y = as_system(X, y)
    alpha = np.broadcast_to(_as_alpha(alpha), X.shape[1:])
    U, s, Vt = thin_svd(X)
    target = (U.T @ y) / s
    nu = _continue_to(Vt, target, alpha)
    beta = _feasible(Vt, target, alpha, nu)
    return _certify(X, y, alpha, beta, U @ (nu / s), tol)


def _certify(
    X: Array, y: Array, alpha: Array, beta: Array, dual: Array, tol: float
) -> PotentialInterpolator:
    slope = X.T @ dual
    terms = _entropies(beta, alpha) + _conjugates(slope, alpha) - beta * slope
    value, gap = hyperbolic_entropy(beta, alpha), float(terms.sum())
    residual = float(np.linalg.norm(X @ beta - y))
    limit = "min-potential interpolator"
    require_closed(limit, "residual", residual, float(np.linalg.norm(y)), tol)
    require_closed(limit, "gap", gap, value, tol)
    return PotentialInterpolator(value, beta, dual, gap, residual)


def _feasible(B: Array, target: Array, alpha: Array, nu: Array) -> Array:
    """``beta(nu)`` and one Newton step, taken in beta: in nu it would be lost to rounding."""
    beta = 2.0 * alpha**2 * np.sinh(B.T @ nu)
    step = _solve(B, alpha, nu, target - B @ beta)
    return beta + 2.0 * alpha**2 * np.cosh(B.T @ nu) * (B.T @ step)


def _continue_to(B: Array, target: Array, alpha: Array) -> Array:
    """Dual solution nu (r,) for ``B beta = target``, B (r, d) of orthonormal rows."""
    shrink = max(1.0, float(np.sqrt(np.linalg.norm(target))) / float(alpha.min()))
    nu = np.zeros(len(target))
    while True:
        nu = _newton(B, target, shrink * alpha, nu)
        if shrink == 1.0:
            return nu
        factor = max(_CONTINUATION, 1.0 / shrink)
        # d nu / d log(alpha) along B beta(nu, alpha) = target: the Newton direction is its solve.
        tangent = _solve(B, shrink * alpha, nu, target)
        nu = nu - 2.0 * np.log(factor) * tangent
        shrink *= factor


def _newton(B: Array, target: Array, alpha: Array, nu: Array) -> Array:
    """Damped Newton on the dual until the residual stops falling."""
    residual = _residual(B, target, alpha, nu)
    for _ in range(_MAX_NEWTON):
        step = _solve(B, alpha, nu, residual)
        accepted = _backtrack(B, target, alpha, nu, step, residual)
        if accepted is None:
            return nu
        nu, residual = accepted
    raise Uncertified(f"min-potential interpolator: no convergence in {_MAX_NEWTON} Newton steps")


def _backtrack(
    B: Array, target: Array, alpha: Array, nu: Array, step: Array, residual: Array
) -> tuple[Array, Array] | None:
    """The longest halved step that ascends the dual, or None where rounding allows none.

    The dual is concave, so a step whose end still has a slope ``<step, residual>`` of at least
    minus half the initial one has not overshot; no difference of dual values is taken, so the test
    keeps its meaning down to rounding.
    """
    slope = float(step @ residual)
    size = float(np.linalg.norm(residual))
    for halving in range(60):
        moved = nu + 0.5**halving * step
        with np.errstate(over="ignore", invalid="ignore"):
            left = _residual(B, target, alpha, moved)
        if np.isfinite(left).all() and abs(float(step @ left)) <= 0.5 * slope:
            stalled = float(np.linalg.norm(left)) >= size and size <= 1e-9 * np.linalg.norm(target)
            return None if stalled else (moved, left)
    return None


def _residual(B: Array, target: Array, alpha: Array, nu: Array) -> Array:
    return target - B @ (2.0 * alpha**2 * np.sinh(B.T @ nu))


def _solve(B: Array, alpha: Array, nu: Array, rhs: Array) -> Array:
    """``(B D B^T)^{-1} rhs``, ``D = 2 alpha^2 cosh(B^T nu)``, through a QR of ``D^{1/2} B^T``.

    The factor's condition number is the square root of the Hessian's, which for small alpha is
    above 1e16 where the solution is sparser than n.
    """
    root = np.sqrt(2.0) * alpha * np.sqrt(np.cosh(B.T @ nu))
    R, order = scipy.linalg.qr(root[:, None] * B.T, mode="r", pivoting=True)[:2]
    R = R[: len(rhs)]
    half = scipy.linalg.solve_triangular(R, rhs[order], trans="T")
    out = np.empty_like(rhs)
    out[order] = scipy.linalg.solve_triangular(R, half)
    return out


def _entropies(beta: Array, alpha: Array) -> Array:
    z = beta / alpha**2
    t = np.arcsinh(z / 2.0)
    return beta * t - 4.0 * (alpha * np.sinh(t / 2.0)) ** 2


def _conjugates(s: Array, alpha: Array) -> Array:
    return 4.0 * (alpha * np.sinh(s / 2.0)) ** 2


def _as_alpha(alpha: ArrayLike) -> Array:
    alpha = np.asarray(alpha, dtype=np.float64)
    if alpha.ndim > 1 or not (np.isfinite(alpha) & (alpha > 0.0)).all():
        raise ValueError("Invalid alpha: must be positive and finite, a scalar or (d,).")
    return alpha
