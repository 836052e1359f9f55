"""Elementary functions that a compiler can turn into lanes: no branches, no library calls."""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from limitpoint.engines.cpu.kernels._link import exact

LOG2_E = 1.4426950408889634
#: log 2 in two parts, the first with 21 trailing zero bits: k * LN2_HIGH is exact.
LN2_HIGH = 0.6931471803691238
LN2_LOW = 1.9082149292705877e-10
#: 1.5 * 2^52: adding it rounds to an integer and leaves that integer in the low bits.
ROUNDER = 6755399441055744.0
LEAST = -708.0
MOST = 709.0


@intrinsic
def _times_power_of_two(typingctx: Any, p: Any, rounded: Any) -> Any:
    """P * 2^k for p in [1/2, 2], with k in the low bits of `rounded`; |k| <= 1022."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        integer = ir.IntType(64)
        k = builder.shl(builder.bitcast(args[1], integer), integer(52))
        bits = builder.add(builder.bitcast(args[0], integer), k)
        return builder.bitcast(bits, ir.DoubleType())

    return types.float64(types.float64, types.float64), codegen


@exact
def exp(x: float) -> float:
    """e^x to 1 ulp; 0 below -708 and inf above 709, NaN for NaN.

    x = k log 2 + r with |r| <= log(2)/2, and e^r = 1 + r + r^2 q(r), q of degree 9 (Chebyshev
    interpolation, relative error 2e-17).
    """
    inside = min(max(x, LEAST), MOST)
    rounded = inside * LOG2_E + ROUNDER
    k = rounded - ROUNDER
    r = (inside - k * LN2_HIGH) - k * LN2_LOW
    q = 2.510038549551032e-08
    q = q * r + 2.7620088445409746e-07
    q = q * r + 2.7557268459997064e-06
    q = q * r + 2.4801521295954376e-05
    q = q * r + 0.00019841269863053618
    q = q * r + 0.0013888888917213717
    q = q * r + 0.008333333333330062
    q = q * r + 0.04166666666662413
    q = q * r + 0.16666666666666669
    q = q * r + 0.5000000000000001
    value = _times_power_of_two(1.0 + (r + r * r * q), rounded)
    value = 0.0 if x < LEAST else value
    value = math.inf if x > MOST else value
    return x if x != x else value


@exact
def log_sigmoid(x: float) -> float:
    """log(1 / (1 + e^-x)) without overflow."""
    return min(x, 0.0) - math.log1p(math.exp(-abs(x)))


@exact
def softplus(x: float) -> float:
    """log(1 + e^x) without overflow."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@exact
def log_softplus(x: float) -> float:
    """log(log(1 + e^x)) without underflow: x itself below -37, to rounding."""
    return x if x < -37.0 else math.log(softplus(x))


@exact
def log_normal_cdf(z: float) -> float:
    """log Phi(z), Phi the standard normal distribution function."""
    if z > -1.0:
        return math.log1p(-0.5 * math.erfc(z * math.sqrt(0.5)))
    if z > -5.0:
        return math.log(0.5 * math.erfc(-z * math.sqrt(0.5)))
    return _log_normal_tail(z)


@exact
def _log_normal_tail(z: float) -> float:
    """log Phi(z) for z <= -5 by Laplace's continued fraction for Mills' ratio, 60 terms."""
    x = -z
    fraction = x
    for term in range(60, 0, -1):
        fraction = x + term / fraction
    return -0.5 * z * z - 0.5 * math.log(2 * math.pi) - math.log(fraction)
