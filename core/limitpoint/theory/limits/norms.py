"""Norms of parameters, and their duals: entrywise p-norms, the spectral and the nuclear norm."""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
from numpy.typing import ArrayLike

from limitpoint.theory.limits._certificate import Array

Norm = float | Literal["spectral", "nuclear"]

_DUAL_SCHATTEN: dict[str, Norm] = {"spectral": "nuclear", "nuclear": "spectral"}


def as_norm(norm: Norm) -> Norm:
    """`norm`, as a float where it is a p; ValueError unless p in [1, inf] or a Schatten name."""
    if norm in _DUAL_SCHATTEN:
        return norm
    if not isinstance(norm, str) and float(norm) >= 1.0:
        return float(norm)
    raise ValueError(f"Invalid norm: {norm!r}. Must be a p in [1, inf], 'spectral' or 'nuclear'.")


def dual_of(norm: Norm) -> Norm:
    """The dual norm: q with 1/p + 1/q = 1 for an entrywise p, spectral for nuclear and back."""
    norm = as_norm(norm)
    if isinstance(norm, str):
        return _DUAL_SCHATTEN[norm]
    if norm == 1.0:
        return np.inf
    return 1.0 if norm == np.inf else norm / (norm - 1.0)


def norm_of(A: ArrayLike, norm: Norm) -> float:
    """The norm of a vector or matrix.

    Args:
        A: float64 (d,) or (k, d). A vector counts as a matrix of one row.
        norm: p in [1, inf] for the entrywise p-norm, "spectral" (largest singular value) or
            "nuclear" (sum of singular values).

    Returns:
        The norm, >= 0. Free of overflow where the result is representable.

    Raises:
        ValueError: for any other `norm`.
    """
    norm, A = as_norm(norm), np.asarray(A, dtype=np.float64)
    scale = float(np.abs(A).max(initial=0.0))
    if scale == 0.0 or not np.isfinite(scale):
        return scale
    unit = A / scale
    if isinstance(norm, str):
        return scale * float(
            np.linalg.norm(np.atleast_2d(unit), 2 if norm == "spectral" else "nuc")
        )
    return scale * float(np.linalg.norm(unit.ravel(), norm))


def dual_norm_of(A: ArrayLike, norm: Norm) -> float:
    """The dual norm ``max {<A, B> : norm_of(B, norm) <= 1}``; arguments as in `norm_of`."""
    return norm_of(A, dual_of(norm))


def norming(G: Array, norm: Norm) -> Array:
    """A `W` of the shape of `G` with ``norm_of(W) <= 1`` and ``<W, G> = dual_norm_of(G)``."""
    norm = as_norm(norm)
    if isinstance(norm, str):
        return _norming_schatten(G, norm)
    if norm == 1.0:
        W = np.zeros_like(G)
        top = np.unravel_index(np.abs(G).argmax(), G.shape)
        W[top] = np.sign(G[top])
        return W
    q = cast(float, dual_of(norm))
    unit = G / (np.abs(G).max(initial=0.0) or 1.0)
    W = np.sign(G) * np.abs(unit) ** (q - 1.0)
    return W / (norm_of(W, norm) or 1.0)


def _norming_schatten(G: Array, norm: str) -> Array:
    U, s, Vt = np.linalg.svd(np.atleast_2d(G), full_matrices=False)
    rank = int((s > 1e-12 * s[0]).sum()) if norm == "spectral" else 1
    W: Array = U[:, :rank] @ Vt[:rank]
    return W.reshape(G.shape)
