"""Models: predictions of the examples lo..hi, and the pullback of their slopes.

`w` holds G parameters, shape (G, rows, d): example i is predicted at number i // (n / G). With
G = 1 all examples share the parameter; with more, each group of consecutive examples has its own
(m-SAM). `out` likewise, and a pullback adds to it: one for all groups, or one for each.
"""

from __future__ import annotations

from limitpoint.fused.kernels._link import inline, kernel


@inline
def _group(i, n, groups):
    return i // (n // groups) if groups > 1 else 0


@kernel
def _dot(X, i, beta):
    total = 0.0
    for j in range(X.shape[1]):
        total += X[i, j] * beta[j]
    return total


@kernel
def linear_predict(X, w, lo, hi, n, z):
    """<w, x_i>."""
    for i in range(lo, hi):
        z[0, i] = _dot(X, i, w[_group(i, n, w.shape[0]), 0])


@kernel
def linear_pullback(X, w, lo, hi, n, slopes, out):
    """X^T slopes."""
    for i in range(lo, hi):
        g = _group(i, n, out.shape[0])
        slope = slopes[0, i]
        for j in range(X.shape[1]):
            out[g, 0, j] += slope * X[i, j]


@kernel
def multiclass_predict(X, w, lo, hi, n, z):
    """Logits; X has an input a row, so that the examples fill the lanes."""
    size = n // w.shape[0]
    for start in range(lo, hi, size):
        g, stop = _group(start, n, w.shape[0]), min(start + size, hi)
        for c in range(w.shape[1]):
            for i in range(start, stop):
                z[c, i] = 0.0
            for j in range(X.shape[0]):
                weight = w[g, c, j]
                for i in range(start, stop):
                    z[c, i] += weight * X[j, i]


@kernel
def multiclass_pullback(X, w, lo, hi, n, slopes, out):
    """Slopes times X, a row a class."""
    size = n // out.shape[0]
    for start in range(lo, hi, size):
        g, stop = _group(start, n, out.shape[0]), min(start + size, hi)
        for c in range(slopes.shape[0]):
            for j in range(X.shape[0]):
                total = 0.0
                for i in range(start, stop):
                    total += slopes[c, i] * X[j, i]
                out[g, c, j] += total


@kernel
def difference_predict(X, w, lo, hi, n, z):
    """<w_+^2 - w_-^2, x_i>."""
    for i in range(lo, hi):
        g = _group(i, n, w.shape[0])
        total = 0.0
        for j in range(X.shape[1]):
            total += X[i, j] * (w[g, 0, j] * w[g, 0, j] - w[g, 1, j] * w[g, 1, j])
        z[0, i] = total


@kernel
def difference_pullback(X, w, lo, hi, n, slopes, out):
    """(2 w_+ X^T slopes, -2 w_- X^T slopes)."""
    for i in range(lo, hi):
        g, at = _group(i, n, out.shape[0]), _group(i, n, w.shape[0])
        slope = 2 * slopes[0, i]
        for j in range(X.shape[1]):
            row = slope * X[i, j]
            out[g, 0, j] += row * w[at, 0, j]
            out[g, 1, j] -= row * w[at, 1, j]


@kernel
def product_predict(X, w, lo, hi, n, z):
    """<w^(1) * ... * w^(L), x_i>."""
    for i in range(lo, hi):
        g = _group(i, n, w.shape[0])
        total = 0.0
        for j in range(X.shape[1]):
            beta = X[i, j]
            for layer in range(w.shape[1]):
                beta *= w[g, layer, j]
            total += beta
        z[0, i] = total


@kernel
def product_pullback(X, w, lo, hi, n, slopes, out):
    """X^T slopes times the product of the other layers, without division: a layer may be zero."""
    depth = w.shape[1]
    for i in range(lo, hi):
        g, at = _group(i, n, out.shape[0]), _group(i, n, w.shape[0])
        for layer in range(depth):
            for j in range(X.shape[1]):
                row = slopes[0, i] * X[i, j]
                for other in range(depth):
                    if other != layer:
                        row *= w[at, other, j]
                out[g, layer, j] += row
