"""Integrands: functions of the iterate that are summed along the run, compiled."""

from __future__ import annotations

import math

from limitpoint.engines.cpu.kernels._link import inline, invoke, kernel, task_at


@inline
def log_terms(task):
    """The logarithm of each example's loss, and what their sum is multiplied by."""
    terms = task.work.reshape(-1)
    invoke(task.predict, (task.X, task.w, 0, task.n, task.n, task.z, task.scratch))
    invoke(task.values, (task.z, task.y, task.n, task.top.shape[1], task.loss, terms))
    return terms, task.factor / task.n if task.mean else task.factor


@kernel
def loss(here, settings, out):
    """L(w)."""
    task = task_at(here)
    terms, weight = log_terms(task)
    total = 0.0
    for i in range(task.n):
        total += math.exp(terms[i])
    out[0] = total * weight


@kernel
def log_loss(here, settings, out):
    """log L(w)."""
    task = task_at(here)
    terms, weight = log_terms(task)
    largest, total = -math.inf, 0.0
    for i in range(task.n):
        largest = max(largest, terms[i])
    for i in range(task.n):
        total += math.exp(terms[i] - largest)
    out[0] = largest + math.log(total * weight)
