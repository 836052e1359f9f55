"""Losses: sign and logarithm of a slope, and the value, of one tile of examples.

Predictions are z (examples,), or logits (examples, P). Which loss it is is known when the
kernel is compiled, so that a branch costs nothing. `limitpoint.problems.losses` is the definition.
"""

import triton
import triton.language as tl

from limitpoint.engines.gpu.kernels._maths import expm1, log1p, log_sigmoid, softplus, tanh


@triton.constexpr_function
def has_scale(LOSS):
    """Whether slopes may leave float64's range, so that a logarithm goes with them."""
    return not (LOSS == "squared" or LOSS == "pseudo_huber" or LOSS == "log_cosh")


@triton.constexpr_function
def has_classes(LOSS):
    """Whether the predictions are logits."""
    return LOSS == "cross_entropy" or LOSS == "multiclass_exponential" or LOSS == "pair_log"


@triton.jit
def slopes(z, y, valid, k, shape, LOSS: tl.constexpr):
    """dl/dz as mantissas, the shape of z, and their log-scale: a number, or one a class (P, 1).

    Args:
        z: predictions, shape (examples,) or (examples, P).
        y: targets or labels, float64, shape (examples,).
        valid: which examples there are, shape (examples,).
        k: number of classes that are there.
        shape: the loss's own parameter.
    """
    if has_classes(LOSS):
        direction, logs = _class_log_slopes(z, y, k, LOSS)
        logs = tl.where(valid[:, None], logs, float("-inf"))
        # A class that is not there, or has no slope at all, has any scale.
        top = tl.max(logs, 0)
        top = tl.where(top > float("-inf"), top, 0.0)
        return direction * tl.exp(logs - top[None, :]), top[:, None]
    elif has_scale(LOSS):
        logs = tl.where(valid, _margin_log_slope(y * z, LOSS), float("-inf"))
        top = tl.max(logs, 0)
        return -y * tl.exp(logs - top), top
    else:
        found = tl.where(valid, _root_slope(z - y, shape, LOSS), 0.0)
        return found, tl.full([], 0.0, tl.float64)


@triton.jit
def plain_slopes(z, y, valid, k, shape, LOSS: tl.constexpr):
    """dl/dz as they are, each example at its own scale."""
    if has_classes(LOSS):
        direction, logs = _class_log_slopes(z, y, k, LOSS)
        return tl.where(valid[:, None], direction * tl.exp(logs), 0.0)
    elif has_scale(LOSS):
        return tl.where(valid, -y * tl.exp(_margin_log_slope(y * z, LOSS)), 0.0)
    else:
        return tl.where(valid, _root_slope(z - y, shape, LOSS), 0.0)


@triton.jit
def values(z, y, valid, k, shape, LOSS: tl.constexpr):
    """Sum of the losses of a tile."""
    if has_classes(LOSS):
        found = _class_value(_gaps(z, y, k), LOSS)
    elif has_scale(LOSS):
        found = _margin_value(y * z, LOSS)
    else:
        found = _root_value(z - y, shape, LOSS)
    return tl.sum(tl.where(valid, found, 0.0), 0)


# --------------------------------------------------------------------------- losses of a residual


@triton.jit
def _root_slope(u, shape, LOSS: tl.constexpr):
    if LOSS == "squared":
        return u
    elif LOSS == "pseudo_huber":
        return u / tl.sqrt(1.0 + (u / shape) * (u / shape))
    else:
        return tanh(u)


@triton.jit
def _root_value(u, shape, LOSS: tl.constexpr):
    if LOSS == "squared":
        return u * u / 2.0
    elif LOSS == "pseudo_huber":
        u2 = (u / shape) * (u / shape)
        return shape * shape * u2 / (tl.sqrt(1.0 + u2) + 1.0)
    else:
        return tl.abs(u) + log1p(expm1(-2.0 * tl.abs(u)) / 2.0)


# ----------------------------------------------------------------------------- losses of a margin


@triton.jit
def _margin_log_slope(z, LOSS: tl.constexpr):
    if LOSS == "logistic":
        return log_sigmoid(-z)
    else:
        return -z


@triton.jit
def _margin_value(z, LOSS: tl.constexpr):
    if LOSS == "logistic":
        return softplus(-z)
    else:
        return tl.exp(-z)


# ------------------------------------------------------------------------------ multiclass losses


@triton.jit
def _is_label(z, y):
    return tl.arange(0, z.shape[1])[None, :] == y[:, None]


@triton.jit
def _gaps(z, y, k):
    """a_c = logit_c - logit_y; -inf at c = y and in columns that are not there."""
    label = _is_label(z, y)
    own = tl.sum(tl.where(label, z, 0.0), 1)[:, None]
    there = tl.arange(0, z.shape[1])[None, :] < k
    return tl.where(there & ~label, z - own, float("-inf"))


@triton.jit
def _log_sum_exp(x):
    """log sum_c e^{x_c} of each row, at least one of which is finite; shape (examples,)."""
    top = tl.max(x, 1)
    return top + tl.log(tl.sum(tl.exp(x - top[:, None]), 1))


@triton.jit
def _class_log_slopes(z, y, k, LOSS: tl.constexpr):
    """Sign and logarithm of the residuals: the true class's is minus the sum of the others."""
    gaps = _gaps(z, y, k)
    if LOSS == "cross_entropy":
        wrong = gaps - softplus(_log_sum_exp(gaps))[:, None]
    elif LOSS == "pair_log":
        wrong = tl.where(gaps > float("-inf"), log_sigmoid(gaps), gaps)
    else:
        wrong = gaps
    label = _is_label(z, y)
    direction = 1.0 - 2.0 * label.to(tl.float64)
    return direction, tl.where(label, _log_sum_exp(wrong)[:, None], wrong)


@triton.jit
def _class_value(gaps, LOSS: tl.constexpr):
    """L per example, shape (examples,)."""
    if LOSS == "cross_entropy":
        return softplus(_log_sum_exp(gaps))
    elif LOSS == "pair_log":
        there = gaps > float("-inf")
        return tl.sum(tl.where(there, softplus(tl.where(there, gaps, 0.0)), 0.0), 1)
    else:
        return tl.exp(_log_sum_exp(gaps))
