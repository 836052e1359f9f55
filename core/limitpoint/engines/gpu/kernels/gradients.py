"""Gradients: tiles of examples, summed as mantissa * exp(scale).

A value is a mantissa (ROWS, D) and its log-scale: a number, or one a class (P, 1).
"""

from typing import NamedTuple

import triton
import triton.language as tl

from limitpoint.engines.gpu.kernels.losses import has_scale, plain_slopes, slopes, values
from limitpoint.engines.gpu.kernels.models import ascended, predict, predictor, pull, pullback


class Task(NamedTuple):
    """One problem, and which of its examples a step sees.

    Args:
        X, y: where its data are: (n, d) and (n,), float64.
        n, d, k: examples, inputs, classes.
        shape: the loss's own parameter.
        lo, hi: the examples of this step.
        weight, weight_all, weight_group: what the sum over those, over all and over a group of
            `group` is multiplied by.
    """

    X: tl.tensor
    y: tl.tensor
    n: tl.tensor
    d: tl.tensor
    k: tl.tensor
    shape: tl.tensor
    lo: tl.tensor
    hi: tl.tensor
    weight: tl.tensor
    weight_all: tl.tensor
    weight_group: tl.tensor
    group: tl.tensor


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
def nothing(w, P: tl.constexpr):
    """Zero, at the least scale there is."""
    if P == 1:
        return tl.zeros_like(w), tl.full([], -1e300, tl.float64)
    else:
        return tl.zeros_like(w), tl.full([P, 1], -1e300, tl.float64)


@triton.jit
def accumulate(x, scale, part, part_scale, LOSS: tl.constexpr):
    """x + part, at the larger scale."""
    if has_scale(LOSS):
        top = tl.maximum(scale, part_scale)
        return x * tl.exp(scale - top) + part * tl.exp(part_scale - top), top
    else:
        return x + part, part_scale


@triton.jit
def gradient(task, w, lo, hi, weight, P: tl.constexpr, BLOCK: tl.constexpr, DEPTH: tl.constexpr,
             MODEL: tl.constexpr, LOSS: tl.constexpr):  # fmt: skip
    """weight * sum over the examples lo..hi of their gradients at w."""
    beta = predictor(w, DEPTH, MODEL)
    total, scale = nothing(beta, P)
    for start in range(lo, hi, BLOCK):
        X, y, valid = tile(task, start, hi, BLOCK, w.shape[1])
        s, top = slopes(predict(X, beta, MODEL), y, valid, task.k, task.shape, LOSS)
        total, scale = accumulate(total, scale, pull(X, s, MODEL), top, LOSS)
    return pullback(w, total, DEPTH, MODEL) * weight, scale


@triton.jit
def ascended_gradient(task, w, rho, P: tl.constexpr, BLOCK: tl.constexpr, DEPTH: tl.constexpr,
                      MODEL: tl.constexpr, LOSS: tl.constexpr):  # fmt: skip
    """The gradient with each example taken at w + rho * its own gradient."""
    beta = predictor(w, DEPTH, MODEL)
    total, scale = nothing(w, P)
    for start in range(task.lo, task.hi, BLOCK):
        X, y, valid = tile(task, start, task.hi, BLOCK, w.shape[1])
        z = predict(X, beta, MODEL)
        own = plain_slopes(z, y, valid, task.k, task.shape, LOSS)
        reach = rho * task.weight_group * own
        g, top = ascended(X, w, z, reach, y, valid, task.k, task.shape, DEPTH, MODEL, LOSS)
        total, scale = accumulate(total, scale, g, top, LOSS)
    return total * task.weight, scale


@triton.jit
def objective(task, w, BLOCK: tl.constexpr, DEPTH: tl.constexpr, MODEL: tl.constexpr,
              LOSS: tl.constexpr):  # fmt: skip
    """L(w)."""
    beta = predictor(w, DEPTH, MODEL)
    total = task.weight_all * 0.0
    for start in range(0, task.n, BLOCK):
        X, y, valid = tile(task, start, task.n, BLOCK, w.shape[1])
        total += values(predict(X, beta, MODEL), y, valid, task.k, task.shape, LOSS)
    return task.weight_all * total
