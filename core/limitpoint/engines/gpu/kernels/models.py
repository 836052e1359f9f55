"""Models: all are linear in a predictor beta (P, D), which the parameters w (ROWS, D) make.

P is one, or the number of classes. What depends on w goes through the predictor, the pullback of
its gradient to w, and the gradient of one tile with a point for each example.
`limitpoint.problems.models` is the definition.
"""

import triton
import triton.language as tl


@triton.jit
def row(w, index):
    """Row `index` of w, shape (1, D)."""
    r = tl.arange(0, w.shape[0])[:, None]
    return tl.sum(tl.where(r == index, w, 0.0), 0)[None, :]


@triton.jit
def predictor(w, DEPTH: tl.constexpr, MODEL: tl.constexpr):
    """beta (P, D)."""
    if MODEL == "difference":
        plus, minus = row(w, 0), row(w, 1)
        return plus * plus - minus * minus
    elif MODEL == "product":
        return _others(w, -1, DEPTH)
    else:
        return w


@triton.jit
def pullback(w, pulled, DEPTH: tl.constexpr, MODEL: tl.constexpr):
    """Gradient (ROWS, D) in w of one (P, D) in the predictor."""
    r = tl.arange(0, w.shape[0])[:, None]
    if MODEL == "difference":
        return tl.where(r == 0, 2.0 * w, -2.0 * w) * pulled
    elif MODEL == "product":
        jacobian = tl.zeros_like(w)
        for layer in tl.static_range(DEPTH):
            jacobian = tl.where(r == layer, _others(w, layer, DEPTH), jacobian)
        return jacobian * pulled
    else:
        return pulled


@triton.jit
def _others(w, layer: tl.constexpr, DEPTH: tl.constexpr):
    """Product of all layers but one, shape (1, D)."""
    found = tl.zeros([1, w.shape[1]], tl.float64) + 1.0
    for other in tl.static_range(DEPTH):
        if other != layer:
            found = found * row(w, other)
    return found


@triton.jit
def predict(X, beta, MODEL: tl.constexpr):
    """Predictions (examples,), or (examples, P) of classes, of X (examples, D)."""
    if MODEL == "multiclass":
        return tl.dot(X, tl.trans(beta), input_precision="ieee", out_dtype=tl.float64)
    else:
        return tl.sum(X * beta, 1)


@triton.jit
def pull(X, slope, MODEL: tl.constexpr):
    """sum_i slope_i x_i, shape (P, D)."""
    if MODEL == "multiclass":
        return tl.dot(tl.trans(slope), X, input_precision="ieee", out_dtype=tl.float64)
    else:
        return tl.sum(slope[:, None] * X, 0)[None, :]


@triton.jit
def ascended_points(X, w, reach, DEPTH: tl.constexpr, MODEL: tl.constexpr):
    """Predictions of a tile, example i at the point w + reach_i df(x_i)/dw."""
    if MODEL == "difference":
        moved = 2.0 * reach[:, None] * X
        plus = row(w, 0) * (1.0 + moved)
        minus = row(w, 1) * (1.0 - moved)
        return tl.sum(X * (plus * plus - minus * minus), 1)
    elif MODEL == "product":
        return tl.sum(X * _others_ascended(X, w, reach, -1, DEPTH), 1)
    else:
        return tl.sum(X * w, 1) + reach * tl.sum(X * X, 1)


@triton.jit
def pull_points(X, w, reach, slope, DEPTH: tl.constexpr, MODEL: tl.constexpr):
    """sum_i slope_i df(x_i)/dw (ROWS, D), example i at that point."""
    r = tl.arange(0, w.shape[0])[:, None]
    if MODEL == "difference":
        moved = 2.0 * reach[:, None] * X
        plus = row(w, 0) * (1.0 + moved)
        minus = row(w, 1) * (1.0 - moved)
        up = tl.sum(slope[:, None] * X * (2.0 * plus), 0)[None, :]
        down = tl.sum(slope[:, None] * X * (-2.0 * minus), 0)[None, :]
        return tl.where(r == 0, up, tl.where(r == 1, down, 0.0))
    elif MODEL == "product":
        g = tl.zeros_like(w)
        for layer in tl.static_range(DEPTH):
            others = _others_ascended(X, w, reach, layer, DEPTH)
            own = tl.sum(slope[:, None] * X * others, 0)[None, :]
            g = tl.where(r == layer, own, g)
        return g
    else:
        return tl.sum(slope[:, None] * X, 0)[None, :]


@triton.jit
def _others_ascended(X, w, reach, layer: tl.constexpr, DEPTH: tl.constexpr):
    """Product of all layers but one at the points of the examples, shape (examples, D)."""
    found = tl.zeros_like(X) + 1.0
    for other in tl.static_range(DEPTH):
        if other != layer:
            found = found * (row(w, other) + reach[:, None] * X * _others(w, other, DEPTH))
    return found
