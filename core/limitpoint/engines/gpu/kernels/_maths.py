"""Elementary functions in float64 that Triton has not, from its exp and log."""

import triton
import triton.language as tl


@triton.jit
def log1p(x):
    """log(1 + x) for x > -1 (Kahan: what 1 + x loses, the quotient puts back)."""
    u = 1.0 + x
    near = (u == 1.0) | (x == float("inf"))
    return tl.where(near, x, tl.log(u) * (x / tl.where(near, 1.0, u - 1.0)))


@triton.jit
def expm1(x):
    """e^x - 1 (Kahan), -1 for x far below zero."""
    u = tl.exp(x)
    near, far = u == 1.0, u - 1.0 == -1.0
    safe = tl.where(near | far, 2.0, u)
    body = (safe - 1.0) * (x / tl.log(safe))
    return tl.where(near, x, tl.where(far, -1.0, body))


@triton.jit
def tanh(x):
    """Hyperbolic tangent, from e^{-2|x|} - 1."""
    e = expm1(-2.0 * tl.abs(x))
    size = -e / (2.0 + e)
    return tl.where(x < 0, -size, size)


@triton.jit
def sign(x):
    """-1, 0 or 1; NaN for NaN."""
    return tl.where(x > 0, 1.0, tl.where(x < 0, -1.0, x))


@triton.jit
def pow_of(x, exponent):
    """x^exponent for x >= 0, exponent > 0."""
    zero = x == 0.0
    return tl.where(zero, 0.0, tl.exp(exponent * tl.log(tl.where(zero, 1.0, x))))


@triton.jit
def larger(x, y):
    """The larger of both; y for NaN."""
    return tl.where(x > y, x, y)


@triton.jit
def smaller(x, y):
    """The smaller of both; y for NaN."""
    return tl.where(x < y, x, y)


@triton.jit
def first_largest(x, ndim):
    """x (ROWS, D) with the first of its largest entries alone."""
    flat = tl.reshape(x, [x.shape[0] * x.shape[1]])
    first = tl.argmax(tl.abs(flat), 0, tie_break_left=True)
    r = tl.arange(0, x.shape[0])[:, None]
    j = tl.arange(0, x.shape[1])[None, :]
    return tl.where(r * x.shape[1] + j == first, x, 0.0)
