"""The kernel: one program a problem, all its steps in one loop."""

import triton
import triton.language as tl

from limitpoint.engines.gpu.kernels.gradients import Task, objective
from limitpoint.engines.gpu.kernels.rules import step

_WHOLE = ("n", "d", "rows", "group", "records", "first", "begin", "end")


@triton.jit(do_not_specialize=_WHOLE)
def trajectory(
    X, x_of, y, y_of, loss, eta, decay, settings, draws,
    w, memory, memory_scale, sums, times, kept, kept_sums,
    n, d, rows, group, records, first, begin, end,
    SETTINGS: tl.constexpr, ROWS: tl.constexpr, D: tl.constexpr, P: tl.constexpr,
    BLOCK: tl.constexpr, DEPTH: tl.constexpr, MODEL: tl.constexpr, LOSS: tl.constexpr,
    RULE: tl.constexpr, STOCHASTIC: tl.constexpr, ON_ALL: tl.constexpr, SUMMED: tl.constexpr,
):  # fmt: skip
    """Take problem `program_id` from step `begin` to step `end`.

    Args:
        X, y: data sets (sets, n, d) and (sets, n); `x_of`, `y_of`: which one each problem has.
        loss: its own parameter, and the weights of the examples of a step, of all, and of a group.
        eta, decay: of the schedule, one a problem.
        settings: the rule's, one row a problem.
        draws: the example of each step of this call and each problem, if `STOCHASTIC`.
        w: iterates (B, rows, d). memory (B, 2, ROWS, D), memory_scale (B, 2, P), sums (B, 2): what
            is carried from call to call; sums of eta and, if `SUMMED`, of eta L.
        times: recorded steps (records,); kept, kept_sums: what is recorded; first: the next one.
    """
    b = tl.program_id(0).to(tl.int64)
    count = tl.num_programs(0)
    r, j = tl.arange(0, ROWS)[:, None], tl.arange(0, D)[None, :]
    inside = (r < rows) & (j < d)
    place = r * d + j
    point = tl.load(w + b * rows * d + place, mask=inside, other=0.0)
    cell = b * 2 * ROWS * D + r * D + j
    m, v = tl.load(memory + cell), tl.load(memory + cell + ROWS * D)
    slot = b * 2 * P
    if P > 1:
        slot += tl.arange(0, P)[:, None]
    m_scale, v_scale = tl.load(memory_scale + slot), tl.load(memory_scale + slot + P)
    total, total_loss = tl.load(sums + 2 * b), tl.load(sums + 2 * b + 1)
    eta_0, exponent = tl.load(eta + b), tl.load(decay + b)
    data, targets = X + tl.load(x_of + b) * n * d, y + tl.load(y_of + b) * n
    record = first
    for t in range(begin, end):
        lo, hi = 0, n
        if STOCHASTIC:
            lo = tl.load(draws + (t - begin) * count + b).to(tl.int32)
            hi = lo + 1
        task = Task(
            data, targets, n, d, rows, tl.load(loss), lo, hi,
            tl.load(loss + 1), tl.load(loss + 2), tl.load(loss + 3), group,
        )  # fmt: skip
        steps = tl.full([], 0.0, tl.float64) + (t + 1)
        fallen = eta_0 * tl.exp(-exponent * tl.log(steps))
        size = tl.where(exponent == 0.0, eta_0, fallen)
        total += size
        if SUMMED:
            total_loss += size * objective(task, point, BLOCK, DEPTH, MODEL, LOSS)
        point, m, m_scale, v, v_scale = step(
            task, point, m, m_scale, v, v_scale, steps, size, settings + b * SETTINGS,
            P, BLOCK, DEPTH, MODEL, LOSS, RULE, ON_ALL,
        )  # fmt: skip
        if tl.load(times + record, mask=record < records, other=-1) == t + 1:
            tl.store(kept + (record * count + b) * rows * d + place, point, mask=inside)
            tl.store(kept_sums + (record * count + b) * 2, total)
            tl.store(kept_sums + (record * count + b) * 2 + 1, total_loss)
            record += 1
    tl.store(w + b * rows * d + place, point, mask=inside)
    tl.store(memory + cell, m)
    tl.store(memory + cell + ROWS * D, v)
    tl.store(memory_scale + slot, m_scale)
    tl.store(memory_scale + slot + P, v_scale)
    tl.store(sums + 2 * b, total)
    tl.store(sums + 2 * b + 1, total_loss)
