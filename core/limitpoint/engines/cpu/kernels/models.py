"""Models: predictions of the examples lo..hi, and the pullback of their slopes.

`w` holds G parameters, shape (G, rows, d): example i is predicted at number i // (n / G). With
G = 1 all examples share the parameter; with more, each group of consecutive examples has its own
(m-SAM). `out` likewise, and a pullback adds to it: one for all groups, or one for each. `scratch`
is room for two rows of inputs or of the parameter.
"""

from __future__ import annotations

from limitpoint.engines.cpu.kernels._again import again_of
from limitpoint.engines.cpu.kernels._link import inline, kernel
from limitpoint.engines.cpu.kernels._tiles import combine, dots, dots_of_one


@inline
def _group(i, n, groups):
    return i // (n // groups) if groups > 1 else 0


@kernel
def _clear(x, rows, lo, hi):
    for r in range(rows):
        for i in range(lo, hi):
            x[r, i] = 0.0


# ------------------------------------------------------------------------------------------ linear


@kernel
def linear_predict(X, w, lo, hi, n, z, scratch):
    """<w, x_i>."""
    if w.shape[0] == 1:
        _clear(z, 1, lo, hi)
        dots_of_one(w[0], X, lo, hi, X.shape[1], z)
        return
    for i in range(lo, hi):
        g, total = _group(i, n, w.shape[0]), 0.0
        for j in range(X.shape[1]):
            total += X[i, j] * w[g, 0, j]
        z[0, i] = total


@kernel
def linear_pullback(X, w, lo, hi, n, slopes, out, scratch):
    """X^T slopes."""
    if out.shape[0] == 1:
        combine(slopes, 1, lo, hi, X, out[0])
        return
    for i in range(lo, hi):
        g, slope = _group(i, n, out.shape[0]), slopes[0, i]
        for j in range(X.shape[1]):
            out[g, 0, j] += slope * X[i, j]


@inline
def _linear_jacobian(X, i, w, at, r, j):
    return X[i, j]


linear_again = again_of(_linear_jacobian)


# -------------------------------------------------------------------------------------- multiclass


@kernel
def multiclass_predict(X, w, lo, hi, n, z, scratch):
    """Logits; X has an input a row, so that the examples fill the lanes."""
    if w.shape[0] == 1 and lo == 0 and hi == n:
        _clear(z, w.shape[1], 0, z.shape[1])
        combine(w[0], w.shape[1], 0, X.shape[0], X, z)
        return
    for i in range(lo, hi):
        g = _group(i, n, w.shape[0])
        for c in range(w.shape[1]):
            total = 0.0
            for j in range(X.shape[0]):
                total += w[g, c, j] * X[j, i]
            z[c, i] = total


@kernel
def multiclass_pullback(X, w, lo, hi, n, slopes, out, scratch):
    """Slopes times X, a row a class."""
    if out.shape[0] == 1 and lo == 0 and hi == n:
        dots(slopes, out.shape[1], X, X.shape[0], X.shape[1], out[0])
        return
    for i in range(lo, hi):
        g = _group(i, n, out.shape[0])
        for c in range(out.shape[1]):
            for j in range(X.shape[0]):
                out[g, c, j] += slopes[c, i] * X[j, i]


@inline
def _multiclass_jacobian(X, i, w, at, r, j):
    return X[j, i]


multiclass_again = again_of(_multiclass_jacobian)


# ------------------------------------------------------------------------------- diagonal networks


@kernel
def difference_predict(X, w, lo, hi, n, z, scratch):
    """<w_+^2 - w_-^2, x_i>."""
    if w.shape[0] == 1:
        for j in range(X.shape[1]):
            scratch[0, j] = w[0, 0, j] * w[0, 0, j] - w[0, 1, j] * w[0, 1, j]
        _clear(z, 1, lo, hi)
        dots_of_one(scratch, X, lo, hi, X.shape[1], z)
        return
    for i in range(lo, hi):
        g, total = _group(i, n, w.shape[0]), 0.0
        for j in range(X.shape[1]):
            total += X[i, j] * (w[g, 0, j] * w[g, 0, j] - w[g, 1, j] * w[g, 1, j])
        z[0, i] = total


@kernel
def difference_pullback(X, w, lo, hi, n, slopes, out, scratch):
    """(2 w_+ X^T slopes, -2 w_- X^T slopes)."""
    if w.shape[0] == 1 and out.shape[0] == 1:
        _clear(scratch, 1, 0, X.shape[1])
        combine(slopes, 1, lo, hi, X, scratch)
        for j in range(X.shape[1]):
            out[0, 0, j] += 2 * scratch[0, j] * w[0, 0, j]
            out[0, 1, j] -= 2 * scratch[0, j] * w[0, 1, j]
        return
    for i in range(lo, hi):
        g, at = _group(i, n, out.shape[0]), _group(i, n, w.shape[0])
        slope = 2 * slopes[0, i]
        for j in range(X.shape[1]):
            row = slope * X[i, j]
            out[g, 0, j] += row * w[at, 0, j]
            out[g, 1, j] -= row * w[at, 1, j]


@kernel
def difference_ascended(X, w, lo, hi, n, z, scratch):
    """Prediction i at (w_+ (1 + t), w_- (1 - t)), t_j = 2 z[2, i] x_ij: its own gradient's way.

    <x_i, (u - v) + 2 t (u + v) + t^2 (u - v)> with u = w_+^2, v = w_-^2.
    """
    width = X.shape[1]
    for j in range(width):
        u, v = w[0, 0, j] * w[0, 0, j], w[0, 1, j] * w[0, 1, j]
        scratch[0, j], scratch[1, j] = u - v, 2 * (u + v)
    i = lo
    while i + 4 <= hi:
        r0, r1, r2, r3 = 2 * z[2, i], 2 * z[2, i + 1], 2 * z[2, i + 2], 2 * z[2, i + 3]
        a0, a1, a2, a3 = 0.0, 0.0, 0.0, 0.0
        for j in range(width):
            a0 += _ascended_term(X[i, j], r0, scratch[0, j], scratch[1, j])
            a1 += _ascended_term(X[i + 1, j], r1, scratch[0, j], scratch[1, j])
            a2 += _ascended_term(X[i + 2, j], r2, scratch[0, j], scratch[1, j])
            a3 += _ascended_term(X[i + 3, j], r3, scratch[0, j], scratch[1, j])
        z[0, i], z[0, i + 1], z[0, i + 2], z[0, i + 3] = a0, a1, a2, a3
        i += 4
    while i < hi:
        reach, total = 2 * z[2, i], 0.0
        for j in range(width):
            total += _ascended_term(X[i, j], reach, scratch[0, j], scratch[1, j])
        z[0, i] = total
        i += 1


@inline
def _ascended_term(x, reach, difference, twice_sum):
    t = reach * x
    return x * (difference + t * (twice_sum + t * difference))


@kernel
def difference_descended(X, w, lo, hi, n, slopes, out, scratch):
    """The pullback at those points: 2 w_+ (a + b), -2 w_- (a - b).

    a = sum_i s_i x_i and b = sum_i 2 s_i t_i x_i^2, t_i in the row below the slopes.
    """
    width = X.shape[1]
    _clear(scratch, 2, 0, width)
    i = lo
    while i + 4 <= hi:
        s0, s1, s2, s3 = slopes[0, i], slopes[0, i + 1], slopes[0, i + 2], slopes[0, i + 3]
        q0, q1 = 2 * slopes[1, i] * s0, 2 * slopes[1, i + 1] * s1
        q2, q3 = 2 * slopes[1, i + 2] * s2, 2 * slopes[1, i + 3] * s3
        for j in range(width):
            x0, x1, x2, x3 = X[i, j], X[i + 1, j], X[i + 2, j], X[i + 3, j]
            scratch[0, j] += s0 * x0 + s1 * x1 + s2 * x2 + s3 * x3
            scratch[1, j] += q0 * x0 * x0 + q1 * x1 * x1 + q2 * x2 * x2 + q3 * x3 * x3
        i += 4
    while i < hi:
        for j in range(width):
            row = slopes[0, i] * X[i, j]
            scratch[0, j] += row
            scratch[1, j] += 2 * slopes[1, i] * X[i, j] * row
        i += 1
    for j in range(width):
        out[0, 0, j] += 2 * w[0, 0, j] * (scratch[0, j] + scratch[1, j])
        out[0, 1, j] -= 2 * w[0, 1, j] * (scratch[0, j] - scratch[1, j])


@inline
def _difference_jacobian(X, i, w, at, r, j):
    return (2 if r == 0 else -2) * w[at, r, j] * X[i, j]


difference_again = again_of(_difference_jacobian)


@kernel
def product_predict(X, w, lo, hi, n, z, scratch):
    """<w^(1) * ... * w^(L), x_i>."""
    if w.shape[0] == 1:
        for j in range(X.shape[1]):
            scratch[0, j] = _other_layers(w, 0, w.shape[1], j)
        _clear(z, 1, lo, hi)
        dots_of_one(scratch, X, lo, hi, X.shape[1], z)
        return
    for i in range(lo, hi):
        g, total = _group(i, n, w.shape[0]), 0.0
        for j in range(X.shape[1]):
            total += X[i, j] * _other_layers(w, g, w.shape[1], j)
        z[0, i] = total


@kernel
def product_pullback(X, w, lo, hi, n, slopes, out, scratch):
    """X^T slopes times the product of the other layers, without division: a layer may be zero."""
    if w.shape[0] == 1 and out.shape[0] == 1:
        _clear(scratch, 1, 0, X.shape[1])
        combine(slopes, 1, lo, hi, X, scratch)
        for layer in range(w.shape[1]):
            for j in range(X.shape[1]):
                out[0, layer, j] += scratch[0, j] * _other_layers(w, 0, layer, j)
        return
    for i in range(lo, hi):
        g, at = _group(i, n, out.shape[0]), _group(i, n, w.shape[0])
        for layer in range(w.shape[1]):
            for j in range(X.shape[1]):
                out[g, layer, j] += slopes[0, i] * X[i, j] * _other_layers(w, at, layer, j)


@inline
def _other_layers(w, g, layer, j):
    """Product of the layers but one; of all of them for a layer that there is not."""
    product = 1.0
    for other in range(w.shape[1]):
        if other != layer:
            product *= w[g, other, j]
    return product


@inline
def _product_jacobian(X, i, w, at, r, j):
    return X[i, j] * _other_layers(w, at, r, j)


product_again = again_of(_product_jacobian)


# ------------------------------------------------------------------------------------ ReLU network


@inline
def _hidden(X, i, w, g, before):
    """<u_j, x_i> + b_j of each unit j, a column of w[g]."""
    d = w.shape[1] - 2
    for j in range(w.shape[2]):
        before[j] = w[g, d, j]
    for r in range(d):
        for j in range(w.shape[2]):
            before[j] += X[i, r] * w[g, r, j]


@inline
def _positive(x):
    """The larger of x and zero; NaN for NaN."""
    return 0.0 if x <= 0.0 else x


@kernel
def relu_predict(X, w, lo, hi, n, z, scratch):
    """sum_j v_j max(<u_j, x_i> + b_j, 0)."""
    before, last = scratch[0], w.shape[1] - 1
    for i in range(lo, hi):
        g, total = _group(i, n, w.shape[0]), 0.0
        _hidden(X, i, w, g, before)
        for j in range(w.shape[2]):
            total += w[g, last, j] * _positive(before[j])
        z[0, i] = total


@kernel
def relu_pullback(X, w, lo, hi, n, slopes, out, scratch):
    """Slopes through the units that are above zero."""
    before, active, last = scratch[0], scratch[1], w.shape[1] - 1
    for i in range(lo, hi):
        g, at = _group(i, n, out.shape[0]), _group(i, n, w.shape[0])
        slope = slopes[0, i]
        _hidden(X, i, w, at, before)
        for j in range(w.shape[2]):
            active[j] = slope * w[at, last, j] if before[j] > 0.0 else 0.0
            out[g, last - 1, j] += active[j]
            out[g, last, j] += slope * _positive(before[j])
        for r in range(last - 1):
            for j in range(w.shape[2]):
                out[g, r, j] += X[i, r] * active[j]


@inline
def _relu_jacobian(X, i, w, at, r, j):
    d = w.shape[1] - 2
    before = w[at, d, j]
    for q in range(d):
        before += X[i, q] * w[at, q, j]
    if r > d:
        return _positive(before)
    slope = w[at, d + 1, j] if before > 0.0 else 0.0
    return slope if r == d else slope * X[i, r]


relu_again = again_of(_relu_jacobian)
