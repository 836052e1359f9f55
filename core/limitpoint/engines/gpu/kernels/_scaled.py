"""`limitpoint.numerics` for Triton: a value is a mantissa and an exponent of two, both float64."""

import triton
import triton.language as tl

#: Exponent of a zero; a constant of the kernels, which can't read Python's globals.
LEAST = tl.constexpr(-1e300)
ROUNDER = tl.constexpr(6755399441055744.0)
LN2_HIGH, LN2_LOW = tl.constexpr(0.6931471803691238), tl.constexpr(1.9082149292705877e-10)
LOG2_E = tl.constexpr(1.4426950408889634)
FAR = tl.constexpr(1e15)


@triton.jit
def f64(number):
    """A number of the text as one of the kernel."""
    return tl.full([], number, tl.float64)


@triton.jit
def power(k):
    """2^k for an integer k: zero below -1022, infinite above 1023."""
    inside = tl.minimum(tl.maximum(k, -1023.0), 1024.0)
    bits = inside.to(tl.int64) + 1023
    return (bits << 52).to(tl.float64, bitcast=True)


@triton.jit
def normal(m, e):
    """Normal form: a mantissa in [1/2, 1), or zero with the least exponent, or not finite."""
    bits = m.to(tl.int64, bitcast=True)
    p = (bits >> 52) & 2047
    found = ((bits & -0x7FF0000000000001) | 0x3FE0000000000000).to(tl.float64, bitcast=True)
    whole = (p == 0) | (p == 2047)
    shifted = e + (p - 1022).to(tl.float64)
    return tl.where(whole, m, found), tl.where(p == 0, LEAST, shifted)


@triton.jit
def plain(m, e):
    """The value as a number."""
    return m * power(e)


@triton.jit
def plus(m, e, n, f):
    """A sum; its mantissa may be anything that two make together."""
    top = tl.maximum(e, f)
    return m * power(e - top) + n * power(f - top), top


@triton.jit
def over(m, e, n, f):
    """A quotient as a number, and zero where the divisor is zero."""
    zero = n == 0.0
    return tl.where(zero, 0.0, m / tl.where(zero, 1.0, n) * power(e - f))


@triton.jit
def root(m, e):
    """Square root."""
    half = (e * 0.5 - 0.25 + ROUNDER) - ROUNDER
    return tl.sqrt(m * (1.0 + (e - 2.0 * half))), half


@triton.jit
def scaled_exp(x):
    """e^x; zero and infinity where |x| is beyond 1e15."""
    inside = tl.minimum(tl.maximum(x, -FAR), FAR)
    k = (inside * LOG2_E + ROUNDER) - ROUNDER
    m = tl.exp((inside - k * LN2_HIGH) - k * LN2_LOW)
    m = tl.where(x < -FAR, 0.0, tl.where(x > FAR, float("inf"), m))
    return tl.where(x != x, x, m), tl.where(x < -FAR, LEAST, k)


@triton.jit
def log_abs(m, e):
    """log |x|."""
    return tl.log(tl.abs(m)) + e * LN2_LOW + e * LN2_HIGH
