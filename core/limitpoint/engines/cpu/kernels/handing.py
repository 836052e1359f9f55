"""Between plain numbers, as foreign code has them, and what the units work on."""

from __future__ import annotations

import math

from limitpoint.engines.cpu.kernels._link import kernel

LN2 = math.log(2)
#: Beyond every exponent of float64, subnormal numbers included.
FAR = 3000.0


@kernel
def taken(plain, w):
    """Put iterates (count, rows, d) into those of a run, whose rows are padded."""
    for b in range(plain.shape[0]):
        for r in range(plain.shape[1]):
            for j in range(plain.shape[2]):
                w[b, r, j] = plain[b, r, j]


@kernel
def handed(mantissa, exponent, log_factors, plain):
    """Put mantissa * 2^exponent * e^log_factor into plain numbers, 0 or infinite only where it is.

    Args:
        mantissa, exponent: (count, rows, padded d).
        log_factors: one a problem, or one for all.
        plain: (count, rows, d).

    Returns:
        The least and the largest of what each problem's largest entry is in size; infinite if one
        is no number.
    """
    least, most = math.inf, 0.0
    for b in range(plain.shape[0]):
        log_factor, largest = log_factors[min(b, log_factors.shape[0] - 1)], 0.0
        k = round(log_factor / LN2)
        factor = math.exp(log_factor - k * LN2)
        for r in range(plain.shape[1]):
            for j in range(plain.shape[2]):
                power = min(max(exponent[b, r, j] + k, -FAR), FAR)
                x = math.ldexp(mantissa[b, r, j] * factor, int(power))
                plain[b, r, j] = x
                size = abs(x)
                largest = max(largest, size if size == size else math.inf)
        least, most = min(least, largest), max(most, largest)
    return least, most
