"""Entries of a gradient that one exponent for all examples may have lost: term by term."""

from __future__ import annotations

import math

from limitpoint.engines.cpu.kernels._gradients import CACHED, FAINT, SMALL
from limitpoint.engines.cpu.kernels._link import inner, invoke, kernel, task_at
from limitpoint.engines.cpu.kernels._scaled import normal, plus, power
from limitpoint.numerics import LEAST

#: Terms are summed in bands of so many bits, from the largest on: where they cancel exactly, the
#: next ones decide.
BAND = 64.0


def again_of(jacobian):
    """The unit of a model.

    Args:
        jacobian: (X, i, w, at, r, j) -> derivative of example i's prediction in entry (r, j), at
            number `at` of the points w; of the prediction of class r, if there are classes.
    """

    @inner
    def sum_apart(task, w, r, j, lo, hi):
        """sum_i slope_i * jacobian_i, each slope with its exponent, in normal form."""
        k = task.top.shape[1]
        row, points = k + (r if k > 1 else 0), w.shape[0]
        carries = math.log2(hi - lo) + 1.0
        total, exponent, bound = 0.0, LEAST, math.inf
        while True:
            top = LEAST
            for i in range(lo, hi):
                at = i // (task.n // points) if points > 1 else 0
                term, e = normal(
                    jacobian(task.X, i, w, at, r, j) * task.z[row, i], task.z[row + k, i]
                )
                if term != 0.0 and top < e <= bound:
                    top = e
            if top == LEAST or (total != 0.0 and top + carries < exponent - BAND):
                return total, exponent
            part = 0.0
            for i in range(lo, hi):
                at = i // (task.n // points) if points > 1 else 0
                term, e = normal(
                    jacobian(task.X, i, w, at, r, j) * task.z[row, i], task.z[row + k, i]
                )
                if top - BAND < e <= bound:
                    part += term * power(e - top)
            total, exponent = plus(total, exponent, part, top)
            total, exponent = normal(total, exponent)
            bound = top - BAND

    @inner
    def doubtful(task, w, r, j, lo, hi):
        """Whether a slope that says something about the entry has lost digits."""
        k = task.top.shape[1]
        row, points = k + (r if k > 1 else 0), w.shape[0]
        for i in range(lo, hi):
            if abs(task.z[row, i]) < FAINT:
                at = i // (task.n // points) if points > 1 else 0
                if jacobian(task.X, i, w, at, r, j) != 0.0:
                    return True
        return False

    @kernel
    def again(here, w, weight, mantissa, exponent):
        """Do the small entries again; see `_gradients`."""
        task = task_at(here)
        k, groups = task.top.shape[1], mantissa.shape[0]
        size, small = (task.hi - task.lo) // groups, SMALL * abs(weight)
        # Pieces have had exponents of their own, and what one of them lost does not show.
        apart = k == 1 and (task.hi - task.lo) * task.X.shape[1] > CACHED
        for g in range(groups):
            for r in range(mantissa.shape[1]):
                for j in range(task.d):
                    if not apart and abs(mantissa[g, r, j]) < small:
                        lo = task.lo + g * size
                        apart = doubtful(task, w, r, j, lo, lo + size)
        if not apart:
            return
        invoke(task.apart, (task.z, task.y, k, task.lo, task.hi, task.loss))
        for g in range(groups):
            for r in range(mantissa.shape[1]):
                for j in range(task.d):
                    if abs(mantissa[g, r, j]) < small:
                        lo = task.lo + g * size
                        total, e = sum_apart(task, w, r, j, lo, lo + size)
                        mantissa[g, r, j], exponent[g, r, j] = total * weight, e

    return again
