"""Integrands: functions of the iterate that are summed along the run, compiled."""

from __future__ import annotations

import math

from limitpoint.engines.cpu.kernels._link import invoke, kernel


@kernel
def loss(task, w, settings, work, out):
    """L(w)."""
    terms = work.mantissa.reshape(-1)
    invoke(task.predict, (task.X, w, 0, task.n, task.n, task.z, task.scratch))
    invoke(task.values, (task.z, task.y, task.n, task.shape, terms))
    total = 0.0
    for i in range(task.n):
        total += math.exp(terms[i])
    out[0] = total * (task.factor / task.n if task.mean else task.factor)
