"""The loop that every fused run goes through: problems outside, steps inside."""

from __future__ import annotations

from limitpoint.fused.kernels._link import Slots, Task, invoke, kernel
from limitpoint.fused.kernels._values import copy


@kernel
def trajectory(
    X, x_of, y, y_of, counts, loss, units, eta, decay, settings,
    integrands, integrand_settings, widths,
    w, memory, memory_scale, sums, z, top, work, work_scale, values,
    times, kept, kept_sums, first, begin, end, lo, hi,
):  # fmt: skip
    """Advance the problems lo..hi from step `begin` to step `end`.

    Args:
        X: data sets; `x_of[b]` is that of problem b. y, y_of: targets likewise.
        counts: n, d, and whether the loss is a mean.
        loss: its parameter and its factor.
        units: addresses of predict, pullback, slopes, values and the rule.
        eta, decay: of the schedule, one a problem.
        settings: the rule's, one row a problem.
        integrands: addresses; `widths` how many numbers each gives, `integrand_settings` theirs.
        w, memory, memory_scale, sums: state, carried from call to call.
        z, top, work, work_scale, values: room of this thread.
        times: recorded steps; kept, kept_sums: what is recorded; first: index of the next one.
    """
    for b in range(lo, hi):
        task = Task(
            X[x_of[b]], y[y_of[b]], z, top,
            units[0], units[1], units[2], units[3],
            loss[0], loss[1], counts[2] != 0, counts[0], counts[1],
        )  # fmt: skip
        room, slots = Slots(work, work_scale), Slots(memory[b], memory_scale[b])
        here, record = w[b : b + 1], first
        for t in range(begin, end + 1):
            if record < times.shape[0] and times[record] == t:
                copy(kept[record, b], here[0])
                for i in range(sums.shape[1]):
                    kept_sums[record, b, i] = sums[b, i]
                record += 1
            if t == end:
                break
            step = eta[b] if decay[b] == 0.0 else eta[b] * float(t + 1) ** -decay[b]
            sums[b, 0] += step
            column = 0
            for k in range(integrands.shape[0]):
                out = values[column : column + widths[k]]
                invoke(integrands[k], (task, here, integrand_settings[k], room, out))
                for i in range(widths[k]):
                    sums[b, 1 + column + i] += step * out[i]
                column += widths[k]
            invoke(units[4], (task, here, t, step, settings[b], slots, room))
