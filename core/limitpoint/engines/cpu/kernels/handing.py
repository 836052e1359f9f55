"""Between plain numbers, as foreign code has them, and what the units work on."""

from __future__ import annotations

import math

from limitpoint.engines.cpu.kernels._link import kernel
from limitpoint.engines.cpu.kernels._scaled import scaled_exp

#: Beyond every exponent of float64, subnormal numbers included.
FAR = 3000.0


@kernel
def taken(plain, w, sums):
    """Put iterates (count, rows, d) into those of a run, whose rows are padded; its sums are 0."""
    for b in range(plain.shape[0]):
        for i in range(sums.shape[1]):
            sums[b, i] = 0.0
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
        factor, k = scaled_exp(log_factors[min(b, log_factors.shape[0] - 1)])
        largest = 0.0
        for r in range(plain.shape[1]):
            for j in range(plain.shape[2]):
                power = min(max(exponent[b, r, j] + k, -FAR), FAR)
                x = math.ldexp(mantissa[b, r, j] * factor, int(power))
                plain[b, r, j] = x
                size = abs(x)
                largest = max(largest, size if size == size else math.inf)
        least, most = min(least, largest), max(most, largest)
    return least, most
