"""The loop that every compiled run goes through: problems outside, steps inside."""

from __future__ import annotations

from limitpoint.engines.cpu.kernels._link import Task, invoke, kernel, stored, with_examples


@kernel
def trajectory(
    X, x_of, y, y_of, counts, factor, loss, units, steps, tables, now_of, settings,
    integrands, integrand_settings, widths,
    w, memory, memory_exponent, sums, z, scratch, top, work, work_exponent, now, values, draws,
    times, kept, kept_sums, first, begin, end, lo, hi,
):  # fmt: skip
    """Advance the problems lo..hi from step `begin` to step `end`.

    Args:
        X: data sets; `x_of[b]` is that of problem b. y, y_of: targets likewise.
        counts: n, d, whether the loss is a mean, whether the ascent is on all examples, and the
            place of the first problem among the records.
        factor: of the loss; loss: its own numbers.
        units: addresses, in the order of `Task`.
        steps: step sizes of this call's steps, shape (T or 1, B or 1).
        tables: other schedules, shape (K, T + ahead, B or 1).
        now_of: (table, offset) of each number that a step is given.
        settings: the rule's, one row a problem.
        integrands: addresses; `widths` how many numbers each gives, `integrand_settings` theirs.
        w, memory, memory_exponent, sums: state, carried from call to call.
        z, scratch, top, work, work_exponent, now, values: room of this thread.
        draws: the example of each step of this call and each problem; empty for all examples.
        times: recorded steps; kept, kept_sums: what is recorded; first: index of the next one.
    """
    n = counts[0]
    for b in range(lo, hi):
        here, record = w[b : b + 1], first
        task = Task(
            X[x_of[b]], y[y_of[b]], loss, settings[b], now,
            here, memory[b], memory_exponent[b], work, work_exponent, z, scratch, top,
            units[0], units[1], units[2], units[3], units[4], units[5], units[6], units[7],
            units[8], units[9], units[10], units[11],
            factor, counts[2] != 0, n, counts[1], 0, n, 0, False,
        )  # fmt: skip
        forwards = stored(task)
        backwards = stored(with_examples(task, 0, n, 0, True))
        for t in range(begin, end + 1):
            if record < times.shape[0] and times[record] == t:
                place = counts[4] + b
                for r in range(w.shape[1]):
                    for j in range(kept.shape[3]):
                        kept[record, place, r, j] = here[0, r, j]
                for i in range(sums.shape[1]):
                    kept_sums[record, place, i] = sums[b, i]
                record += 1
            if t == end:
                break
            step = steps[min(t - begin, steps.shape[0] - 1), min(b, steps.shape[1] - 1)]
            sums[b, 0] += step
            column = 0
            for k in range(integrands.shape[0]):
                out = values[column : column + widths[k]]
                invoke(integrands[k], (forwards, integrand_settings[k], out))
                for i in range(widths[k]):
                    sums[b, 1 + column + i] += step * out[i]
                column += widths[k]
            for k in range(now_of.shape[0]):
                row = t - begin + now_of[k, 1]
                now[k] = tables[now_of[k, 0], row, min(b, tables.shape[2] - 1)]
            seen = backwards if t % 2 == 1 else forwards
            if draws.shape[0] > 0:
                example = draws[t - begin, b]
                ascent = forwards if counts[3] != 0 else 0
                seen = stored(with_examples(task, example, example + 1, ascent, False))
            invoke(units[11], (seen, t))
