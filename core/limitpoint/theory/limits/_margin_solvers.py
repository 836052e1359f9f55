"""Solvers for the maximum margin: LP, active-set QP, cone program.

A solver maps constraints and a norm to a candidate ``(W, q)``: a parameter of any length, and
weights over the constraints. Nothing here is trusted: `margin` recomputes both bounds.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import lazy_loader
import numpy as np
import scipy
from scipy.sparse import coo_array, csr_array, hstack, vstack

from limitpoint.theory.limits._certificate import Array, Uncertified
from limitpoint.theory.limits._constraints import Constraints
from limitpoint.theory.limits.norms import Norm

if TYPE_CHECKING:
    import cvxpy as cp
else:  # half a second to load, and most verdicts need no cone program
    cp = lazy_loader.load("cvxpy")

Candidate = tuple[Array, Array]
Solver = Callable[[Constraints], Candidate]

_LARGE = 1000
_ROUNDS = 100
# The default regularisation, 1e-8, stalls semidefinite programs at gaps of 1e-7.
_CLARABEL = {
    "tol_gap_abs": 1e-10,
    "tol_gap_rel": 1e-10,
    "tol_feas": 1e-10,
    "static_regularization_constant": 1e-6,
}


def solvers_for(norm: Norm, constraints: Constraints) -> Iterator[Solver]:
    """Solvers to try, in order, until one's candidate is certified."""
    if norm in (1.0, np.inf):
        large = constraints.size > _LARGE
        for method in ("highs-ipm", "highs") if large else ("highs", "highs-ipm"):
            yield partial(_linear_program, norm=norm, method=method)
        return
    if norm == 2.0:
        yield nearest_point
    yield partial(_cone_program, norm=norm)


def _linear_program(constraints: Constraints, norm: Norm, method: str) -> Candidate:
    """``max gamma  s.t.  <A_j, W> >= gamma, ||W|| <= 1`` for norm 1 or inf, by HiGHS."""
    A = constraints.matrix()
    A *= 1.0 / (abs(A).max() or 1.0)
    m, d = A.shape
    rows, right, bounds = (_cross_polytope if norm == 1.0 else _cube)(A)
    cost = np.r_[np.zeros(len(bounds) - 1), -1.0]
    # scipy-stubs knows no sparse A_ub.
    result = scipy.optimize.linprog(cost, rows, right, bounds=bounds, method=method)  # type: ignore[call-overload]
    if result.x is None:
        raise Uncertified(f"max margin (norm {norm}): {method} failed: {result.message}")
    w = result.x[:d] - result.x[d : 2 * d] if norm == 1.0 else result.x[:d]
    return w.reshape(constraints.shape), -result.ineqlin.marginals[:m]


def _cube(A: csr_array) -> tuple[Any, Array, Array]:
    """Rows, right-hand side and bounds over (W, gamma), for the max-norm."""
    m, d = A.shape
    rows = hstack([-A, coo_array(np.ones((m, 1)))], format="csr")
    return rows, np.zeros(m), np.array([(-1.0, 1.0)] * d + [(-np.inf, np.inf)])


def _cross_polytope(A: csr_array) -> tuple[Any, Array, Array]:
    """Rows, right-hand side and bounds over (W_+, W_-, gamma), for the 1-norm."""
    m, d = A.shape
    separation = hstack([-A, A, coo_array(np.ones((m, 1)))])
    ball = np.r_[np.ones(2 * d), 0.0][None, :]
    rows = vstack([separation, coo_array(ball)], format="csr")
    return rows, np.r_[np.zeros(m), 1.0], np.array([(0.0, 1.0)] * (2 * d) + [(-np.inf, np.inf)])


def nearest_point(constraints: Constraints) -> Candidate:
    """The point of the convex hull of the A_j nearest to 0, to machine precision (norm 2).

    The non-negative least squares problem ``min ||sum u_j A_j||^2 + s^2 (sum u_j - 1)^2`` has u
    proportional to the weights of that point [Lawson and Hanson 1974, ch. 23]; the KKT system of
    its support is then solved by itself.
    """
    centroid = constraints.combine(np.ones(constraints.size))
    return _by_active_set(constraints, _hull_solve, centroid, _NEAREST)


def _cone_program(constraints: Constraints, norm: Norm) -> Candidate:
    """``max gamma  s.t.  <A_j, W> >= gamma, ||W|| <= 1``, by Clarabel.

    Over all constraints Clarabel stalls at gaps of 1e-5 on degenerate data (many optimal W); over
    an active set it reaches 1e-9.
    """
    start, _ = nearest_point(constraints)
    return _by_active_set(
        constraints, lambda A: _clarabel(A, constraints.shape, norm), start, _CONE
    )


@dataclass(frozen=True)
class _Schedule:
    """Size of the first working set, most constraints added a round, violation that counts."""

    first: int
    batch: int
    slack: float


_NEAREST = _Schedule(first=200, batch=200, slack=1e-12)
_CONE = _Schedule(first=150, batch=50, slack=1e-9)


def _by_active_set(
    constraints: Constraints, solve: Callable[[Array], Candidate], start: Array, plan: _Schedule
) -> Candidate:
    """Solve over a growing set of constraints, until the solution violates no other.

    `solve` maps dense constraints (s, D) to a flat W (D,) and weights (s,). The first set is the
    constraints of least margin at `start`; those without weight leave it again.
    """
    working = np.argsort(constraints.margins(start), kind="stable")[: plan.first]
    for _ in range(_ROUNDS):
        w, weights = solve(constraints.rows(working))
        W = w.reshape(constraints.shape)
        margins = constraints.margins(W)
        floor = margins[working].min() - plan.slack * np.abs(margins).max()
        new = np.setdiff1d(np.flatnonzero(margins < floor), working)
        if len(new) == 0:
            q = np.zeros(constraints.size)
            q[working] = weights
            return W, q
        worst = new[np.argsort(margins[new], kind="stable")[: plan.batch]]
        working = np.r_[working[weights > 0.0], worst]
    raise Uncertified(f"max margin: no active set found in {_ROUNDS} rounds")


def _hull_solve(A: Array) -> Candidate:
    scale = float(np.linalg.norm(A, axis=1).mean()) or 1.0
    A = A / scale
    system = np.vstack([A.T, np.ones(len(A))])
    u, _ = scipy.optimize.nnls(system, np.r_[np.zeros(A.shape[1]), 1.0], maxiter=30 * len(A))
    support = u > 0.0
    w, u[support] = _polish(A[support], u[support])
    return w, u


def _polish(A: Array, u: Array) -> Candidate:
    """``w`` with ``A w = 1`` and weights u with ``A^T u = w``; the given u if those are not > 0."""
    w = _refined(A, np.ones(len(A)))
    polished = _refined(A.T, w)
    return (w, polished) if (polished > 0.0).all() else (A.T @ u, u)


def _refined(A: Array, b: Array) -> Array:
    x = np.linalg.lstsq(A, b)[0]
    return cast(Array, x + np.linalg.lstsq(A, b - A @ x)[0])


def _clarabel(A: Array, shape: tuple[int, ...], norm: Norm) -> Candidate:
    A = A / (np.abs(A).max() or 1.0)
    W, size = _parameter(shape, norm)
    gamma = cp.Variable()
    separation = A @ cp.vec(W, order="C") >= gamma
    problem = cp.Problem(cp.Maximize(gamma), [separation, size <= 1.0])
    with warnings.catch_warnings():
        # "Solution may be inaccurate": the certificate is the judge of that.
        warnings.simplefilter("ignore")
        try:
            problem.solve(solver=cp.CLARABEL, **_CLARABEL)
        except cp.SolverError as error:
            raise Uncertified(f"max margin (norm {norm}): Clarabel failed: {error}") from error
    if W.value is None or separation.dual_value is None:
        raise Uncertified(f"max margin (norm {norm}): Clarabel ended {problem.status}")
    return np.ravel(W.value), np.ravel(separation.dual_value)


def _parameter(shape: tuple[int, ...], norm: Norm) -> tuple[cp.Expression, cp.Expression]:
    """The parameter and its norm.

    A Schatten norm doesn't grow when the columns of W are centred, and no margin changes: W is
    sought among the centred ones, whose norm is that of k - 1 rows in an orthonormal basis.
    """
    if not isinstance(norm, str):
        W = cp.Variable(shape)
        return W, cp.pnorm(cp.vec(W, order="C"), norm, approx=False)
    V = cp.Variable((shape[0] - 1, shape[1]))
    return scipy.linalg.null_space(np.ones((1, shape[0]))) @ V, (
        cp.sigma_max(V) if norm == "spectral" else cp.normNuc(V)
    )
