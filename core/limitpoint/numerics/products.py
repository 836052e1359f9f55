"""Weighted sums of the rows of a matrix: what every model's gradient comes down to."""

from __future__ import annotations

from torch import Tensor

from limitpoint.numerics.scaled import Scaled, Value
from limitpoint.numerics.values import total

#: A sum so many bits below its heaviest weight may miss terms that left float64's range.
FAINT = 900.0


def combine(weights: Value, X: Tensor) -> Value:
    """sum_i weights_ic x_ij: weighted sums of the rows of a matrix.

    Every entry is right to rounding of its own terms, also one that only light examples have.

    Args:
        weights: shape (*batch, n, k).
        X: shape (*batch, n, d), float64.

    Returns:
        Shape (*batch, k, d), `Scaled` if the weights are.
    """
    if not isinstance(weights, Scaled):
        return by_rows(weights.mT, X)
    top = weights.exponent.amax(-2, keepdim=True)
    found = Scaled(by_rows(weights._at(top).mT, X), top.mT, far=weights.far)
    faint = found.exponent < top.mT - FAINT
    if bool(faint.any()):
        faint = faint & (X != 0).any(-2).unsqueeze(-2)  # an input that nobody has is zero, rightly
    return _again(found, faint, weights, X) if bool(faint.any()) else found


def _again(found: Scaled, faint: Tensor, weights: Scaled, X: Tensor) -> Scaled:
    """The sums that are faint, each from the exponents of its own terms."""
    batch = found.shape[:-2]
    *at, c, j = faint.nonzero(as_tuple=True)
    columns = weights.map(lambda part: part.mT.expand(*batch, -1, -1)[(*at, c)])
    sums = total(columns * X.mT.expand(*batch, -1, -1)[(*at, j)], -1)
    found.mantissa[(*at, c, j)], found.exponent[(*at, c, j)] = sums.mantissa, sums.exponent
    return found


def by_rows(A: Tensor, B: Tensor) -> Tensor:
    """A @ B, where many A (*more, *batch, r, m) share a B (*batch, m, c): one product for each B.

    Broadcasting would copy B for each of them.
    """
    more = A.ndim - B.ndim
    if more <= 0 or A.shape[more:-2] != B.shape[:-2]:
        return A @ B
    rows = A.flatten(0, more - 1).movedim(0, -3)
    product = (rows.flatten(-3, -2) @ B).reshape(*rows.shape[:-1], B.shape[-1])
    return product.movedim(-3, 0).reshape(*A.shape[:-1], B.shape[-1])
