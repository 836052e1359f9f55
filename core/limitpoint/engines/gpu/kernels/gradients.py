"""Gradients: tiles of examples, summed as mantissa * 2^exponent.

A value is a mantissa and an exponent for each entry of (ROWS, D). A product of a tile has one
exponent for each class; where an entry comes out far below it, the tile is done again, term by
term. SLOPES is the written function of a loss: slopes with an exponent each.
"""

from typing import NamedTuple

import triton
import triton.language as tl

from limitpoint.engines.gpu.kernels._scaled import LEAST, normal, plain, plus, power
from limitpoint.engines.gpu.kernels.models import (
    ascended_points,
    predict,
    predictor,
    pull,
    pull_points,
    pullback,
)

#: A sum below this, at the exponent of its class, may have lost a slope that is lighter still.
SMALL = tl.constexpr(2.0**-500)


class Task(NamedTuple):
    """One problem, and which of its examples a step sees.

    Args:
        X, y: where its data are: (n, d) and (n,), float64.
        n, d, k: examples, inputs, classes.
        loss: where the loss's own numbers are.
        lo, hi: the examples of this step.
        factor: of the loss; mean: whether it divides by the number of examples.
    """

    X: tl.tensor
    y: tl.tensor
    n: tl.tensor
    d: tl.tensor
    k: tl.tensor
    loss: tl.tensor
    lo: tl.tensor
    hi: tl.tensor
    factor: tl.tensor
    mean: tl.tensor


@triton.jit
def weight_of(task, count):
    """What the sum over `count` examples is multiplied by."""
    return tl.where(task.mean != 0, task.factor / count, task.factor)


@triton.jit
def tile(task, start, stop, BLOCK: tl.constexpr, D: tl.constexpr):
    """X (BLOCK, D), y and validity (BLOCK,) of the examples from `start` up to `stop`."""
    i = start + tl.arange(0, BLOCK)
    j = tl.arange(0, D)[None, :]
    valid = i < stop
    inside = valid[:, None] & (j < task.d)
    X = tl.load(task.X + i[:, None] * task.d + j, mask=inside, other=0.0)
    return X, tl.load(task.y + i, mask=valid, other=0.0), valid


@triton.jit
def aligned(m, e, valid, CLASSES: tl.constexpr):
    """Mantissas at one exponent for each class, and that: (P, 1), or a number."""
    if CLASSES:
        there = valid[:, None] & (m != 0.0)
        top = tl.max(tl.where(there, e, LEAST), 0)
        return tl.where(there, m * power(e - top[None, :]), 0.0), top[:, None]
    else:
        there = valid & (m != 0.0)
        top = tl.max(tl.where(there, e, LEAST), 0)
        return tl.where(there, m * power(e - top), 0.0), top


@triton.jit
def term_by_term(X, m, e, valid, P: tl.constexpr, CLASSES: tl.constexpr):
    """sum_i slope_i x_i (P, D), each sum at the exponent of its own largest term."""
    r = tl.arange(0, P)[:, None]
    found = tl.zeros([P, X.shape[1]], tl.float64)
    exponent = tl.full([P, X.shape[1]], LEAST, tl.float64)
    for c in tl.static_range(P):
        if CLASSES:
            column = tl.arange(0, P)[None, :] == c
            own = tl.sum(tl.where(column, m, 0.0), 1)
            scale = tl.sum(tl.where(column, e, 0.0), 1)
        else:
            own, scale = m, e
        terms, scales = normal(tl.where(valid, own, 0.0)[:, None] * X, scale[:, None])
        top = tl.max(scales, 0)[None, :]
        row = tl.sum(terms * power(scales - top), 0)[None, :]
        found = tl.where(r == c, row, found)
        exponent = tl.where(r == c, top, exponent)
    return found, exponent


@triton.jit
def pulled(X, m, e, valid, P: tl.constexpr, CLASSES: tl.constexpr, SCALED: tl.constexpr,
           MODEL: tl.constexpr):  # fmt: skip
    """sum_i slope_i x_i of a tile: mantissas and exponents (P, D)."""
    if SCALED:
        alike, top = aligned(m, e, valid, CLASSES)
        found = pull(X, alike, MODEL)
        exponent = tl.zeros_like(found) + top
        if tl.sum((tl.abs(found) < SMALL).to(tl.int32)) > 0:
            found, exponent = term_by_term(X, m, e, valid, P, CLASSES)
        return found, exponent
    else:
        seen = valid[:, None] if CLASSES else valid
        found = pull(X, tl.where(seen, m, 0.0), MODEL)
        return found, tl.zeros_like(found)


@triton.jit
def accumulate(x, exponent, part, part_exponent, SCALED: tl.constexpr):
    """x + part."""
    if SCALED:
        part, part_exponent = normal(part, part_exponent)
        x, exponent = plus(x, exponent, part, part_exponent)
        x, exponent = normal(x, exponent)
        return x, exponent
    else:
        return x + part, exponent


@triton.jit
def nothing(w, SCALED: tl.constexpr):
    """Zero."""
    if SCALED:
        return tl.zeros_like(w), tl.zeros_like(w) + LEAST
    else:
        return tl.zeros_like(w), tl.zeros_like(w)


@triton.jit
def gradient(task, w, lo, hi, weight, P: tl.constexpr, BLOCK: tl.constexpr, DEPTH: tl.constexpr,
             MODEL: tl.constexpr, CLASSES: tl.constexpr, SCALED: tl.constexpr,
             SLOPES: tl.constexpr):  # fmt: skip
    """weight * sum over the examples lo..hi of their gradients at w."""
    beta = predictor(w, DEPTH, MODEL)
    total, exponent = nothing(beta, SCALED)
    for start in range(lo, hi, BLOCK):
        X, y, valid = tile(task, start, hi, BLOCK, w.shape[1])
        m, e = SLOPES(predict(X, beta, MODEL), y, task.k, task.loss)
        part, own = pulled(X, m, e, valid, P, CLASSES, SCALED, MODEL)
        total, exponent = accumulate(total, exponent, part, own, SCALED)
    return pullback(w, total, DEPTH, MODEL) * weight, exponent + tl.zeros_like(w)


@triton.jit
def ascended_gradient(task, w, rho, P: tl.constexpr, BLOCK: tl.constexpr, DEPTH: tl.constexpr,
                      MODEL: tl.constexpr, CLASSES: tl.constexpr, SCALED: tl.constexpr,
                      SLOPES: tl.constexpr):  # fmt: skip
    """Mean of the examples' gradients, each at w + rho * its own; losses that are plain."""
    beta = predictor(w, DEPTH, MODEL)
    total = tl.zeros_like(w)
    for start in range(task.lo, task.hi, BLOCK):
        X, y, valid = tile(task, start, task.hi, BLOCK, w.shape[1])
        m, e = SLOPES(predict(X, beta, MODEL), y, task.k, task.loss)
        reach = rho * task.factor * tl.where(valid, plain(m, e), 0.0)
        m, e = SLOPES(ascended_points(X, w, reach, DEPTH, MODEL), y, task.k, task.loss)
        slope = tl.where(valid, plain(m, e), 0.0)
        total += pull_points(X, w, reach, slope, DEPTH, MODEL)
    return total * (task.factor / (task.hi - task.lo)), tl.zeros_like(w)


@triton.jit
def objective(task, w, BLOCK: tl.constexpr, DEPTH: tl.constexpr, MODEL: tl.constexpr,
              VALUES: tl.constexpr):  # fmt: skip
    """L(w)."""
    beta = predictor(w, DEPTH, MODEL)
    total = tl.full([], 0.0, tl.float64)
    for start in range(0, task.n, BLOCK):
        X, y, valid = tile(task, start, task.n, BLOCK, w.shape[1])
        logs = VALUES(predict(X, beta, MODEL), y, task.k, task.loss)
        total += tl.sum(tl.where(valid, tl.exp(logs), 0.0), 0)
    return weight_of(task, task.n) * total
