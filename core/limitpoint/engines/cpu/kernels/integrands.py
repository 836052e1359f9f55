"""Integrands: functions of the iterate that are summed along the run, compiled."""

from __future__ import annotations

import math

from limitpoint.engines.cpu.kernels._link import invoke, kernel, task_at


@kernel
def loss(here, settings, out):
    """L(w)."""
    task = task_at(here)
    terms = task.work.reshape(-1)
    invoke(task.predict, (task.X, task.w, 0, task.n, task.n, task.z, task.scratch))
    invoke(task.values, (task.z, task.y, task.n, task.top.shape[1], task.loss, terms))
    total = 0.0
    for i in range(task.n):
        total += math.exp(terms[i])
    out[0] = total * (task.factor / task.n if task.mean else task.factor)
