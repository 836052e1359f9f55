"""Elementary functions that a compiler can turn into lanes: no branches, no library calls."""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from limitpoint.engines.cpu.kernels._link import exact, inline

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
def exp_of_remainder(r: float) -> float:
    """e^r for |r| <= log(2)/2: 1 + r + r^2 q(r), q by Chebyshev, relative error 2e-17."""
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
    return 1.0 + (r + r * r * q)


@exact
def exp_at(x: float, scale: float) -> float:
    """e^x 2^-scale to 1 ulp for an integer scale; 0 and inf beyond its range, NaN for NaN.

    x = k log 2 + r, and k - scale is added to the bits of e^r that are its exponent.
    """
    least, most = LEAST + scale * (LN2_HIGH + LN2_LOW), MOST + scale * (LN2_HIGH + LN2_LOW)
    inside = min(max(x, least), most)
    rounded = inside * LOG2_E + ROUNDER
    k = rounded - ROUNDER
    r = (inside - k * LN2_HIGH) - k * LN2_LOW
    value = _times_power_of_two(exp_of_remainder(r), rounded - scale)
    value = 0.0 if x < least else value
    value = math.inf if x > most else value
    return x if x != x else value


@exact
def exp(x: float) -> float:
    """e^x to 1 ulp; 0 below -708 and inf above 709, NaN for NaN."""
    return exp_at(x, 0.0)


@exact
def log_ndtr(z: float) -> float:
    """log Phi(z), Phi the standard normal distribution function."""
    if z > -1.0:
        return math.log1p(-0.5 * math.erfc(z * math.sqrt(0.5)))
    if z > -5.0:
        return math.log(0.5 * math.erfc(-z * math.sqrt(0.5)))
    return _log_tail(z)


@exact
def _log_tail(z: float) -> float:
    """log Phi(z) for z <= -5 by Laplace's continued fraction for Mills' ratio, 60 terms."""
    x = -z
    fraction = x
    for term in range(60, 0, -1):
        fraction = x + term / fraction
    return -0.5 * z * z - 0.5 * math.log(2 * math.pi) - math.log(fraction)


@inline
def sign(x: float) -> float:
    """-1, 0 or 1; NaN for NaN."""
    return x if x != x else (1.0 if x > 0 else (-1.0 if x < 0 else 0.0))


@inline
def larger(x: float, y: float) -> float:
    """The larger of both; y for NaN."""
    return x if x > y else y


@inline
def smaller(x: float, y: float) -> float:
    """The smaller of both; y for NaN."""
    return x if x < y else y
