"""The maximum margin in a norm, between two certified bounds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from limitpoint.theory.limits._certificate import Array, Uncertified, as_finite, require_closed
from limitpoint.theory.limits._constraints import Binary, Constraints, constraints_of
from limitpoint.theory.limits._margin_solvers import solvers_for
from limitpoint.theory.limits.norms import Norm, as_norm, dual_norm_of, norm_of, norming

# Relative to the largest sample: what rounding, and what the least exact solver, make of a zero.
_ROUNDING = 1e-13
_SEPARATED = 1e-8


class NotSeparable(Uncertified):
    """The data are not linearly separable: the dual certificate leaves no positive margin."""


@dataclass(frozen=True)
class MaxMargin:
    """A certified ``max_{||W|| <= 1} min_j <A_j, W>``; the true value lies in [value, upper].

    Attributes:
        norm: the norm, as passed to `max_margin`.
        value: the margin of `solution`, recomputed from the data: the lower bound.
        solution: W of unit norm, float64 (d,) binary or (k, d) multiclass. Not unique for a norm
            that is not strictly convex.
        dual: weights on the simplex. Binary: (n,), in the order of the samples. Multiclass: (n, k),
            the weight of (e_{y_n} - e_c) x_n^T at [n, c], zero at [n, y_n].
        upper: ``dual_norm(sum_j dual_j A_j)``, the upper bound.
        gap: ``upper - value``; a rounding error may leave it at -1e-16 of `upper`.
    """

    norm: Norm
    value: float
    solution: Array
    dual: Array
    upper: float
    gap: float

    @property
    def svm(self) -> Array:
        """The W of least norm with all margins >= 1: ``solution / value``."""
        return self.solution / self.value

    @property
    def multipliers(self) -> Array:
        """alpha >= 0 with ``svm = sum_j alpha_j A_j``, of the shape of `dual`; norm 2 only."""
        if self.norm != 2.0:
            raise ValueError(f"Invalid norm: {self.norm!r}. Multipliers are those of norm 2.")
        return self.dual / (self.value * self.upper)

    @property
    def support(self) -> NDArray[np.bool_]:
        """True at the constraints that carry weight, of the shape of `dual`.

        Exact for norms 1, 2 and inf; else to 1e-6 of the largest weight, the cone solver's
        accuracy.
        """
        floor = 0.0 if self.norm in (1.0, 2.0, np.inf) else 1e-6
        carries: NDArray[np.bool_] = self.dual > floor * self.dual.max()
        return carries


def max_margin(
    X: ArrayLike, y: ArrayLike, norm: Norm, *, classes: int | None = None, tol: float = 1e-7
) -> MaxMargin:
    """The maximum margin ``gamma = max_{||W|| <= 1} min_j <A_j, W>`` of a data set in a norm.

    Binary (``classes=None``): labels -1, +1, ``<A_n, w> = y_n <w, x_n>``. Multiclass: labels
    0..k-1, ``<A_nc, W> = (e_{y_n} - e_c)^T W x_n`` for every n and every c != y_n.

    Norms 1 and inf are linear programs (HiGHS), norm 2 is an active set method with a gap of about
    1e-14, any other norm a cone program (Clarabel). The certificate is independent of the solver,
    see `certify_max_margin`.

    Args:
        X: float64 (n, d).
        y: labels (n,).
        norm: p in [1, inf], entrywise; or "spectral" or "nuclear" (a binary parameter counts as a
            matrix of one row).
        classes: number of classes k >= 2, or None for binary labels.
        tol: largest gap, relative to the upper bound, > 0.

    Raises:
        NotSeparable: no parameter has a positive margin.
        Uncertified: the gap is above `tol`.
        ValueError: labels, shapes or norm out of range.

    Source: Fan, Schmidt, Thrampoulidis 2025, arXiv 2502.04664, eq. 2.
    """
    constraints = constraints_of(X, y, classes)
    found = _solved(_Known(constraints.digest, constraints), as_norm(norm), tol)
    return replace(found, solution=found.solution.copy(), dual=found.dual.copy())


@dataclass(frozen=True)
class _Known:
    """Constraints by their digest, so that equal ones are one key of a cache."""

    digest: str
    constraints: Constraints = field(compare=False)


# The same data come back: for every rival of a claim, for claims that share a problem, and, where
# they are fixed, for every seed.
@lru_cache(maxsize=128)
def _solved(known: _Known, norm: Norm, tol: float) -> MaxMargin:
    """See `max_margin`."""
    constraints = known.constraints
    solved_as: Norm = 2.0 if _is_row(constraints, norm) else norm
    refusal = Uncertified("no solver was tried")
    for solve in solvers_for(solved_as, constraints):
        try:
            W, q = solve(constraints)
            return _certify(constraints, norm, _better(constraints, norm, W, q), q, tol)
        except NotSeparable:
            raise
        except Uncertified as error:
            refusal = error
    raise refusal


def certify_max_margin(
    X: ArrayLike,
    y: ArrayLike,
    norm: Norm,
    solution: ArrayLike,
    dual: ArrayLike,
    *,
    classes: int | None = None,
    tol: float = 1e-7,
) -> MaxMargin:
    """Certify a candidate from any source as the maximum margin.

    `solution` is scaled to unit norm and its margin recomputed: a lower bound. `dual` is clipped at
    zero and scaled to sum 1: by duality ``dual_norm(sum_j dual_j A_j)`` is an upper bound.

    Args:
        solution: float64 (d,) or (k, d), of any length.
        dual: float64 (n,) or (n, k), as in `MaxMargin.dual`, of any positive sum.
        X, y, norm, classes, tol: as in `max_margin`.

    Raises:
        NotSeparable: the margin is zero, to the accuracy of the bounds.
        Uncertified: the gap is above ``tol * upper``.
        ValueError: arguments out of range.
    """
    constraints = constraints_of(X, y, classes)
    W = as_finite("solution", solution, len(constraints.shape))
    q = as_finite("dual", dual, len(constraints.weights_shape))
    if W.shape != constraints.shape or q.shape != constraints.weights_shape:
        raise ValueError(
            f"Invalid candidate: shapes {W.shape}, {q.shape}. "
            f"Must be {constraints.shape}, {constraints.weights_shape}."
        )
    return _certify(constraints, as_norm(norm), W, constraints.flatten(q), tol)


def _certify(constraints: Constraints, norm: Norm, W: Array, q: Array, tol: float) -> MaxMargin:
    limit = f"max margin (norm {norm})"
    q = np.clip(q, 0.0, None)
    if not 0.0 < q.sum() < np.inf:
        raise Uncertified(f"{limit}: the dual has no positive weight, not certified")
    q = q / q.sum()
    pull = constraints.combine(q)
    upper = dual_norm_of(pull, norm)
    value, solution = _lower_bound(constraints, norm, W)
    gap, scale = upper - value, _largest(constraints, norm)
    if value <= _ROUNDING * scale and upper <= _SEPARATED * scale:
        raise NotSeparable(f"{limit}: not linearly separable: the margin is at most {upper:.3g}")
    require_closed(limit, "gap", gap, upper, tol)
    return MaxMargin(norm, value, solution, constraints.expand(q), upper, gap)


def _better(constraints: Constraints, norm: Norm, W: Array, q: Array) -> Array:
    """W, or the parameter that q alone leads to, whichever has the larger margin."""
    led_to = norming(constraints.combine(q), norm)
    return max((W, led_to), key=lambda V: _lower_bound(constraints, norm, V)[0])


def _lower_bound(constraints: Constraints, norm: Norm, W: Array) -> tuple[float, Array]:
    size = norm_of(W, norm)
    if not 0.0 < size < np.inf:
        return -np.inf, W
    solution = W / size
    return float(constraints.margins(solution).min()), solution


def _largest(constraints: Constraints, norm: Norm) -> float:
    """The largest dual norm of a sample; a margin is at most twice that."""
    rows = constraints.A if isinstance(constraints, Binary) else constraints.X
    return max(dual_norm_of(row, norm) for row in rows)


def _is_row(constraints: Constraints, norm: Norm) -> bool:
    return isinstance(norm, str) and isinstance(constraints, Binary)
