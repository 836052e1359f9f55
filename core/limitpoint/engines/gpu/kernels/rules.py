"""Update rules: each returns the next iterate, and what it keeps.

`m` and `v` are what is kept between steps, mantissas (ROWS, D) with their log-scales, zero before
the first step. Which rule it is is known when the kernel is compiled. `limitpoint.optimizers` is
the definition; settings come in the order of `limitpoint.engines.cpu`.
"""

import triton
import triton.language as tl

from limitpoint.engines.gpu.kernels._maths import expm1, power, sign
from limitpoint.engines.gpu.kernels.gradients import (
    accumulate,
    ascended_gradient,
    gradient,
    nothing,
)
from limitpoint.engines.gpu.kernels.losses import has_scale


@triton.jit
def step(task, w, m, m_scale, v, v_scale, steps, eta, settings, P: tl.constexpr,
         BLOCK: tl.constexpr, DEPTH: tl.constexpr, MODEL: tl.constexpr, LOSS: tl.constexpr,
         RULE: tl.constexpr, ON_ALL: tl.constexpr):  # fmt: skip
    """One step of size eta from w, which makes it `steps` (a float) in all."""
    if RULE == "one_sam":
        rho = tl.load(settings)
        g, scale = ascended_gradient(task, w, rho, P, BLOCK, DEPTH, MODEL, LOSS)
        w = w - plain(eta, g, scale, LOSS)
    elif RULE == "m_sam":
        rho = tl.load(settings)
        g, scale = _group_gradients(task, w, rho, P, BLOCK, DEPTH, MODEL, LOSS)
        w = w - plain(eta, g, scale, LOSS)
    else:
        if ON_ALL:
            g, scale = gradient(task, w, 0, task.n, task.weight_all, P, BLOCK, DEPTH, MODEL, LOSS)
        else:
            g, scale = gradient(
                task, w, task.lo, task.hi, task.weight, P, BLOCK, DEPTH, MODEL, LOSS
            )
        if RULE == "momentum":
            m, m_scale = _blend(m, m_scale, tl.load(settings), g, scale, 1.0, P, LOSS)
            w = w - plain(eta, m, m_scale, LOSS)
        elif RULE == "adam":
            beta1, beta2 = tl.load(settings), tl.load(settings + 1)
            m, m_scale = _blend(m, m_scale, beta1, g, scale, 1.0 - beta1, P, LOSS)
            v, v_scale = _blend(v, v_scale, beta2, g * g, 2.0 * scale, 1.0 - beta2, P, LOSS)
            w = _adam(w, m, m_scale, v, v_scale, steps, eta, settings, LOSS)
        elif RULE == "usam" or RULE == "l2_sam" or RULE == "linf_sam":
            point = w + _ascent(tl.load(settings), g, scale, P, LOSS, RULE)
            g, scale = gradient(
                task, point, task.lo, task.hi, task.weight, P, BLOCK, DEPTH, MODEL, LOSS
            )
            w = w - plain(eta, g, scale, LOSS)
        elif RULE == "gd":
            w = w - plain(eta, g, scale, LOSS)
        else:
            w = w - eta * _unit_direction(g, scale, settings, P, RULE)
    return w, m, m_scale, v, v_scale


@triton.jit
def plain(factor, x, scale, LOSS: tl.constexpr):
    """factor * x as it is; underflows where float64 does."""
    if has_scale(LOSS):
        return factor * x * tl.exp(scale)
    else:
        return factor * x


@triton.jit
def _blend(old, old_scale, a, new, new_scale, b, P: tl.constexpr, LOSS: tl.constexpr):
    """a * old + b * new, the largest mantissa of each scale being one."""
    x, scale = accumulate(a * old, old_scale, b * new, new_scale, LOSS)
    if has_scale(LOSS):
        peak = _peak(x, P)
        peak = tl.where(peak > 0.0, peak, 1.0)
        x, scale = x / peak, scale + tl.log(peak)
    return x, scale


@triton.jit
def _peak(x, P: tl.constexpr):
    """Largest absolute value at each scale."""
    rows = tl.max(tl.abs(x), 1)
    if P == 1:
        return tl.max(rows, 0)
    else:
        return rows[:, None]


@triton.jit
def _unit(x, scale, P: tl.constexpr):
    """x / |x|_inf as plain numbers; zero where x is."""
    peak = _peak(x, P)
    if P == 1:
        return x / tl.where(peak > 0.0, peak, 1.0)
    else:
        logs = scale + tl.log(tl.where(peak > 0.0, peak, 1.0))
        top = tl.max(tl.where(peak > 0.0, logs, -1e300), 0)[None, :]
        return x * tl.exp(scale - top)


@triton.jit
def _unit_direction(g, scale, settings, P: tl.constexpr, RULE: tl.constexpr):
    """argmax_{|D|_p <= 1} <g, D>; zero at a zero gradient."""
    if RULE == "sign":
        return sign(g)
    else:
        unit = _unit(g, scale, P)
        if RULE == "coordinate":
            flat = tl.reshape(unit, [unit.shape[0] * unit.shape[1]])
            first = tl.argmax(tl.abs(flat), 0, tie_break_left=True)
            r = tl.arange(0, unit.shape[0])[:, None]
            j = tl.arange(0, unit.shape[1])[None, :]
            return tl.where(r * unit.shape[1] + j == first, unit, 0.0)
        elif RULE == "normalised":
            norm = tl.sqrt(tl.sum(unit * unit))
            return unit / tl.where(norm > 0.0, norm, 1.0)
        else:
            p = tl.load(settings)
            q = p / (p - 1.0)
            size = tl.abs(unit)
            norm = power(power(tl.sum(power(size, q)), 1.0 / q), q - 1.0)
            return sign(unit) * power(size, q - 1.0) / tl.where(norm > 0.0, norm, 1.0)


@triton.jit
def _ascent(rho, g, scale, P: tl.constexpr, LOSS: tl.constexpr, RULE: tl.constexpr):
    """rho times where the perturbation points."""
    if RULE == "usam":
        return plain(rho, g, scale, LOSS)
    elif RULE == "linf_sam":
        return rho * sign(g)
    else:
        unit = _unit(g, scale, P)
        norm = tl.sqrt(tl.sum(unit * unit))
        return rho * (unit / tl.where(norm > 0.0, norm, 1.0))


@triton.jit
def _group_gradients(task, w, rho, P: tl.constexpr, BLOCK: tl.constexpr, DEPTH: tl.constexpr,
                     MODEL: tl.constexpr, LOSS: tl.constexpr):  # fmt: skip
    """The gradient with each group of examples taken at its own perturbed point."""
    total, total_scale = nothing(w, P)
    for start in range(task.lo, task.hi, task.group):
        stop = start + task.group
        g, scale = gradient(task, w, start, stop, task.weight_group, P, BLOCK, DEPTH, MODEL, LOSS)
        point = w + plain(rho, g, scale, LOSS)
        g, scale = gradient(task, point, start, stop, task.weight, P, BLOCK, DEPTH, MODEL, LOSS)
        total, total_scale = accumulate(total, total_scale, g, scale, LOSS)
    return total, total_scale


@triton.jit
def _adam(w, m, m_scale, v, v_scale, steps, eta, settings, LOSS: tl.constexpr):
    """w - eta m / (sqrt(v) + epsilon), with what else Adam's settings ask for."""
    beta1, beta2 = tl.load(settings), tl.load(settings + 1)
    epsilon, corrected = tl.load(settings + 2), tl.load(settings + 3) != 0.0
    keep = 1.0 - eta * tl.load(settings + 4)
    by_m = tl.where(corrected, 1.0 / -expm1(steps * tl.log(beta1)), 1.0)
    by_root = tl.where(corrected, 1.0 / tl.sqrt(-expm1(steps * tl.log(beta2))), 1.0)
    damped = epsilon > 0.0
    if has_scale(LOSS):
        # The root and epsilon are added at the larger of their scales.
        floor = tl.log(tl.where(damped, epsilon, 1.0))
        top = tl.where(damped, tl.maximum(v_scale / 2.0, floor), v_scale / 2.0)
        root = by_root * tl.sqrt(v) * tl.exp(v_scale / 2.0 - top)
        root += tl.where(damped, epsilon * tl.exp(-tl.where(damped, top, 0.0)), 0.0)
        size = eta * by_m * tl.exp(m_scale - top)
    else:
        root = by_root * tl.sqrt(v) + epsilon
        size = eta * by_m
    zero = root == 0.0
    return keep * w - size * tl.where(zero, 0.0, m / tl.where(zero, 1.0, root))
