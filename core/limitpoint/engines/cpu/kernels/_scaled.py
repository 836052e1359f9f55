"""`limitpoint.numerics`, compiled: a value is a mantissa and an exponent of two, both float64.

Exponents are integers, and what is done with them is exact. Nothing here branches or calls a
library, so that a loop over entries becomes lanes.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from limitpoint.engines.cpu.kernels._link import exact
from limitpoint.engines.cpu.kernels._maths import (
    LN2_HIGH,
    LN2_LOW,
    LOG2_E,
    ROUNDER,
    exp_of_remainder,
)
from limitpoint.numerics import LEAST

#: 2^52 as bits; a small integer in its low bits is added to it.
TWO_52 = 0x4330000000000000
FRACTION, HALF = -0x7FF0000000000001, 0x3FE0000000000000
#: Beyond this an exponential is zero or infinite, whatever the exponent.
FAR = 1e15


def _cast(source: Any, target: Any, kind: Any) -> Any:
    @intrinsic
    def cast(typingctx: Any, x: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], kind)

        return target(source), codegen

    return cast


bits = _cast(types.float64, types.int64, ir.IntType(64))
of_bits = _cast(types.int64, types.float64, ir.DoubleType())


@exact
def power(k: float) -> float:
    """2^k for an integer k: zero below -1022, infinite above 1023."""
    inside = min(max(k, -1023.0), 1024.0)
    return of_bits(bits(inside + (ROUNDER + 1023.0)) << 52)


@exact
def normal(m: float, e: float) -> tuple[float, float]:
    """Normal form: a mantissa in [1/2, 1), or zero with the least exponent, or not finite."""
    b = bits(m)
    p = (b >> 52) & 2047
    found = of_bits((b & FRACTION) | HALF)
    shifted = e + (of_bits(p | TWO_52) - 4503599627370496.0 - 1022.0)
    return (m if p == 0 or p == 2047 else found), (LEAST if p == 0 else shifted)


@exact
def plain(m: float, e: float) -> float:
    """The value as a number."""
    return m * power(e)


@exact
def plus(m: float, e: float, n: float, f: float) -> tuple[float, float]:
    """A sum; its mantissa may be anything that two make together."""
    top = e if e > f else f
    return m * power(e - top) + n * power(f - top), top


@exact
def over(m: float, e: float, n: float, f: float) -> float:
    """A quotient as a number, and zero where the divisor is zero."""
    zero = n == 0.0
    found = m / (1.0 if zero else n) * power(e - f)
    return 0.0 if zero else found


@exact
def root(m: float, e: float) -> tuple[float, float]:
    """Square root."""
    half = (e * 0.5 - 0.25 + ROUNDER) - ROUNDER
    return math.sqrt(m * (1.0 + (e - 2.0 * half))), half


@exact
def scaled_exp(x: float) -> tuple[float, float]:
    """e^x; zero and infinity where |x| is beyond 1e15."""
    inside = min(max(x, -FAR), FAR)
    k = (inside * LOG2_E + ROUNDER) - ROUNDER
    m = exp_of_remainder((inside - k * LN2_HIGH) - k * LN2_LOW)
    m = 0.0 if x < -FAR else m
    m = math.inf if x > FAR else m
    return (x if x != x else m), (LEAST if x < -FAR else k)


@exact
def exponent_of_exp(x: float) -> float:
    """The exponent of e^x."""
    inside = min(max(x, -FAR), FAR)
    return (inside * LOG2_E + ROUNDER) - ROUNDER


@exact
def log_abs(m: float, e: float) -> float:
    """log |x|."""
    return math.log(abs(m)) + e * LN2_LOW + e * LN2_HIGH
