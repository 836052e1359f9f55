"""The loop that every fused run goes through: problems outside, steps inside."""

from __future__ import annotations

import math

from limitpoint.engines.cpu.kernels._link import Slots, Task, invoke, kernel
from limitpoint.engines.cpu.kernels._values import copy, with_examples, with_order


@kernel
def trajectory(
    X, x_of, y, y_of, counts, loss, units, eta, decay, total, settings,
    integrands, integrand_settings, widths,
    w, memory, memory_scale, sums, z, scratch, top, work, work_scale, values, draws,
    times, kept, kept_sums, first, begin, end, lo, hi,
):  # fmt: skip
    """Advance the problems lo..hi from step `begin` to step `end`.

    Args:
        X: data sets; `x_of[b]` is that of problem b. y, y_of: targets likewise.
        counts: n, whether the loss is a mean, whether the ascent is on all examples, and the
            values that the rule has room for.
        loss: its parameter and its factor.
        units: addresses of predict, pullback, ascended, descended, slopes, values, and the rule.
        eta, decay, total: of the schedule, one a problem; total is inf unless it falls linearly.
        settings: the rule's, one row a problem.
        integrands: addresses; `widths` how many numbers each gives, `integrand_settings` theirs.
        w, memory, memory_scale, sums: state, carried from call to call.
        z, scratch, top, work, work_scale, values: room of this thread.
        draws: the example of each step of this call and each problem; empty for all examples.
        times: recorded steps; kept, kept_sums: what is recorded; first: index of the next one.
    """
    for b in range(lo, hi):
        task = Task(
            X[x_of[b]], y[y_of[b]], z, scratch, top,
            units[0], units[1], units[2], units[3], units[4], units[5],
            loss[0], loss[1], counts[1] != 0, counts[0], 0, counts[0], False, False,
        )  # fmt: skip
        room, slots = Slots(work, work_scale), Slots(memory[b], memory_scale[b])
        own = Slots(work[: counts[3]], work_scale[: counts[3]])
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
            if total[b] != math.inf:
                step *= max(0.0, 1.0 - t / total[b])
            sums[b, 0] += step
            column = 0
            for k in range(integrands.shape[0]):
                out = values[column : column + widths[k]]
                invoke(integrands[k], (task, here, integrand_settings[k], room, out))
                for i in range(widths[k]):
                    sums[b, 1 + column + i] += step * out[i]
                column += widths[k]
            seen = with_order(task, t % 2 == 1)
            if draws.shape[0] > 0:
                example = draws[t - begin, b]
                seen = with_examples(seen, example, example + 1, counts[2] != 0)
            invoke(units[6], (seen, here, t, step, settings[b], slots, own))
