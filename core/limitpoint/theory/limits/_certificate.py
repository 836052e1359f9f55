"""What every certified limit shares: the refusal, and the check that leads to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


class Uncertified(ArithmeticError):  # noqa: N818 - a refusal, as StopIteration is no error
    """A limit was computed, but its certificate does not close to the tolerance asked for."""


def require_closed(limit: str, quantity: str, measured: float, scale: float, tol: float) -> None:
    """Raise `Uncertified` unless ``|measured| <= tol * scale``; a NaN is refused.

    A gap that is negative beyond rounding is refused too: weak duality forbids it, so the primal
    and the dual candidate cannot both be feasible.
    """
    if not abs(measured) <= tol * scale:
        raise Uncertified(
            f"{limit}: {quantity} {measured:.3g} is outside {tol:g} x {scale:.3g}, not certified"
        )


def as_finite(name: str, value: ArrayLike, ndim: int) -> Array:
    """`value` as a float64 array of `ndim` dimensions; ValueError for another shape, NaN or inf."""
    array = np.asarray(value, dtype=np.float64)
    if array.ndim != ndim:
        raise ValueError(f"Invalid {name}: {array.ndim} dimensions. Must have {ndim}.")
    if not np.isfinite(array).all():
        raise ValueError(f"Invalid {name}: has a NaN or an infinity. Must be finite.")
    return array


def as_system(X: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """The linear system ``X w = y`` as float64 arrays of shapes (n, d) and (n,)."""
    X, y = as_finite("X", X, 2), as_finite("y", y, 1)
    if X.shape[0] != y.shape[0] or X.size == 0:
        raise ValueError(f"Invalid y: shape {y.shape}. Must be ({X.shape[0]},) and not empty.")
    return X, y


def thin_svd(X: Array) -> tuple[Array, Array, Array]:
    """Singular triplets (n, r), (r,), (r, d) of `X`, of numerical rank r only."""
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    keep = s > max(X.shape) * np.finfo(np.float64).eps * s[0]
    return U[:, keep], s[keep], Vt[keep]
