"""Adam's moments: what a run tells about them, and the bounds that hold at every step.

m_t = (1 - beta1) sum_s beta1^s g_{t-s} and v_t = (1 - beta2) sum_s beta2^s g_{t-s}^2, both zero
before the first step (signgd_adam (3a), (3b)).
"""

from __future__ import annotations

import math

import scipy
import torch
from torch import Tensor

from limitpoint.engines.trajectory import Trajectory
from limitpoint.numerics import LEAST, ratio, scaled
from limitpoint.optimizers import Rule
from limitpoint.optimizers.schedules import Schedule
from limitpoint.problems.problem import Problem

#: Steps whose gradients share a unit, and by how many powers of two it falls at most in between.
STRETCH, STEEP = 250, 400.0


def moving_average(x: Tensor, beta: float) -> Tensor:
    """(1 - beta) sum_s beta^s x_{t-s} for every t, along the first dimension; float64."""
    return torch.from_numpy(scipy.signal.lfilter([1 - beta], [1, -beta], x.numpy(), axis=0))


def ratios(
    problem: Problem, w: Tensor, beta1: float, beta2: float, epsilon: float | Tensor = 0.0
) -> Tensor:
    """m_t / (sqrt(v_t) + epsilon), both moments rebuilt from the gradients at given iterates.

    The gradients of a stretch of steps are taken in units of each entry's largest among them, so
    that no square leaves float64's range, however small the loss has become.

    Args:
        problem: with a gradient at each iterate.
        w: iterates of every step from the first on, shape (T, *batch, *parameter).
        beta1: in [0, 1).
        beta2: in [0, 1).
        epsilon: >= 0, broadcastable to w; with bias correction it is smaller at first.

    Returns:
        Of the shape of w.
    """
    m, v = torch.zeros_like(w[:1]), torch.zeros_like(w[:1])
    unit, found = torch.full_like(m, LEAST), []
    damping = torch.as_tensor(epsilon, dtype=w.dtype).expand_as(w)
    for part, damp in zip(torch.split(w, STRETCH), torch.split(damping, STRETCH), strict=True):
        g = scaled(problem.grad(part))
        before, unit = unit, torch.maximum(g.exponent.amax(0, keepdim=True), unit - STEEP)
        m, v = m * (before - unit).exp2(), v * (2 * (before - unit)).exp2()
        x = g.mantissa * (g.exponent - unit).exp2()
        mean, square = _filtered(x, beta1, m), _filtered(x**2, beta2, v)
        found.append(ratio(mean, square.sqrt() + damp * (-unit).exp2()))
        m, v = mean[-1:], square[-1:]
    return torch.cat(found)


def rounding(
    problem: Problem, w: Tensor, beta1: float, beta2: float, epsilon: float | Tensor = 0.0
) -> Tensor:
    """How far rounding may take `ratios` of two engines apart, at given iterates.

    An entry of the gradient whose examples cancel keeps the rounding of their sum before it does,
    A = sum_i |r_i| |x_i|: each residual is good to e, from logits of d products, so that |dm| is at
    most the average of e A, and |d sqrt(v)| the root of the average of its squares (Minkowski).

    Args:
        problem: linear.
        w, beta1, beta2, epsilon: as of `ratios`.

    Returns:
        Of the shape of w; to be multiplied by any correction for bias.
    """
    X, (n, d) = problem.X.abs(), problem.X.shape[-2:]
    logits = (w.abs() @ X.mT).amax((-2, -1), keepdim=True)
    each = 2 * 2.0**-53 * (4 * (d + 2) * logits + n + 20)
    error, spread, square = (torch.zeros_like(w[:1]) for _ in range(3))
    unit, found = torch.full_like(error, LEAST), []
    largest = float(ratio_bound(beta1, beta2, len(w))[-1])
    damping = torch.as_tensor(epsilon, dtype=w.dtype).expand_as(w)
    stretches = (torch.split(x, STRETCH) for x in (w, each, damping))
    for part, good, damp in zip(*stretches, strict=True):
        slope = scaled(problem.loss.slope(problem.predict(part), problem.y))
        size = scaled(problem.model.pullback(part, X, abs(slope))) * problem.loss.weight(n)
        g = scaled(problem.grad(part))
        before, unit = unit, torch.maximum(size.exponent.amax(0, keepdim=True), unit - STEEP)
        fall = (before - unit).exp2()
        lost = good * size.mantissa * (size.exponent - unit).exp2()
        kept = g.mantissa * (g.exponent - unit).exp2()
        errors = _filtered(lost, beta1, error * fall)
        spreads = _filtered(lost**2, beta2, spread * fall**2)
        squares = _filtered(kept**2, beta2, square * fall**2)
        root = squares.sqrt() + damp * (-unit).exp2()
        found.append(ratio(errors + largest * spreads.sqrt(), root))
        error, spread, square = errors[-1:], spreads[-1:], squares[-1:]
    return torch.cat(found)


def step_rounding(
    problem: Problem,
    run: Trajectory,
    beta1: float,
    beta2: float,
    factor: Tensor,
    expected: Tensor,
    epsilon: float | Tensor = 0.0,
) -> Tensor:
    """How far rounding may take (W_t - W_{t+1}) / eta_t of a run from what Adam asks for.

    To that of the gradients (`rounding`) comes that of the places: iterates are rounded, scaled and
    rounded again, and step sizes are differences of their sums.

    Args:
        problem: linear.
        run: of every step.
        beta1, beta2, epsilon: as of `ratios`.
        factor: what corrects the bias, broadcastable to expected.
        expected: what Adam asks for, the correction in it.

    Returns:
        Of the shape of expected.
    """
    total = run.integrals["step_size"]
    total = total.reshape(len(total), *[1] * (run.w.ndim - 1))
    places = (4 * run.w[1:].abs() + 2 * total[1:] * expected.abs()) * 2.0**-53 / total.diff(dim=0)
    return factor * rounding(problem, run.w[:-1], beta1, beta2, epsilon) + places


STEP_BECAUSE = "rounding of the gradients, where examples cancel, and of W_t / eta_t"


def _filtered(x: Tensor, beta: float, last: Tensor) -> Tensor:
    """y_t = beta y_{t-1} + (1 - beta) x_t, along the first dimension, from the last one on."""
    found, _ = scipy.signal.lfilter(
        [1 - beta], [1, -beta], x.numpy(), axis=0, zi=beta * last.numpy()
    )
    return torch.from_numpy(found)


def excess(log_v: Tensor, beta1: float, beta2: float) -> Tensor:
    """How far m_t^2 / v_t may be above one, given log v_t at every step; of the shape of log v.

    With beta1 <= beta2, m_t^2 / v_t <= 1 + (beta2 - beta1) / (1 - beta2) [beta1^t + (1 - beta1)
    sum_{j=1}^t beta1^(j-1) log(v_t / v_{t-j})] (Xie and Li 2024, with t from 0): where v falls it
    is below one. So sum eta_t |m_t| / sqrt(v_t) exceeds S by a bounded amount (Lemma D.7).
    """
    t = torch.arange(len(log_v), dtype=torch.float64).reshape(-1, *[1] * (log_v.ndim - 1))
    before = torch.cat([torch.zeros_like(log_v[:1]), moving_average(log_v, beta1)[:-1]])
    drop = log_v * (1 - beta1**t) - before
    return (beta2 - beta1) / (1 - beta2) * (beta1**t + drop)


def displacements(run: Trajectory, rule: Rule) -> Tensor:
    """(w_t - w_{t+1}) / eta_t: Adam's m_t / sqrt(v_t), seen from outside; shape (T, *parameter).

    Args:
        run: of every step, without a batch.
        rule: what ran.
    """
    eta = _step_sizes(rule.step_size, len(run.w) - 1)
    return (run.w[:-1] - run.w[1:]) / eta.reshape(-1, *(1,) * (run.w.ndim - 1))


def ratio_bound(beta1: float, beta2: float, steps: int) -> Tensor:
    """alpha_t, the largest |m_t| / sqrt(v_t) that any gradients give, t = 0, ..., steps - 1.

    alpha_t^2 = (1 - beta1)^2 / (1 - beta2) sum_{tau <= t} (beta1^2 / beta2)^tau: Cauchy-Schwarz
    with the weights of the two averages. Its limit is Lemma D.1 of signgd_adam.
    """
    t = torch.arange(steps, dtype=torch.float64)
    return torch.sqrt((1 - beta1) ** 2 / (1 - beta2) * ((beta1**2 / beta2) ** t).cumsum(0))


def extremal_gradients(beta1: float, beta2: float, steps: int, decades: float = 100) -> Tensor:
    """g_t = (beta2 / beta1)^t up to a factor, which attains `ratio_bound` at every t; shape (T, 1).

    Args:
        beta1: in (0, beta2].
        beta2: in (0, 1).
        steps: T at most; less if the sequence would grow by more than the decades given.
        decades: how far it may grow.
    """
    growth = math.log10(beta2 / beta1)
    if growth > 0:
        steps = min(steps, int(decades / growth))
    t = torch.arange(steps, dtype=torch.float64) - steps // 2
    return (beta2 / beta1) ** t.unsqueeze(-1)


def correction_seen(first: Tensor, beta1: float, beta2: float, steps: int) -> Tensor:
    """What multiplies m_t / sqrt(v_t): ones, or sqrt(1 - beta2^(t+1)) / (1 - beta1^(t+1)).

    Bias correction shows in the first ratio, which is one with it and (1 - beta1) / sqrt(1 - beta2)
    without.

    Args:
        first: the largest absolute ratio of the first step.
        beta1: in [0, 1).
        beta2: in [0, 1).
        steps: how many.
    """
    t = torch.arange(1, steps + 1, dtype=torch.float64)
    if abs(first - (1 - beta1) / math.sqrt(1 - beta2)) <= abs(first - 1):
        return torch.ones_like(t)
    return torch.sqrt(1 - beta2**t) / (1 - beta1**t)


def correction_root(factor: Tensor, beta2: float) -> Tensor:
    """sqrt(1 - beta2^(t+1)) where a factor of `correction_seen` tells of bias correction, else one.

    Args:
        factor: along the first dimension.
        beta2: in [0, 1).
    """
    t = torch.arange(1, len(factor) + 1, dtype=torch.float64).reshape(-1, *[1] * (factor.ndim - 1))
    return torch.sqrt(1 - beta2**t) if bool((factor != 1).any()) else torch.ones_like(factor)


def drift(step_size: Schedule, steps: int) -> Tensor:
    """H_{t,s}, the sum of the s step sizes before step t; -inf for s > t. Shape (steps, steps)."""
    eta = _step_sizes(step_size, steps)
    total = torch.cat([eta.new_zeros(1), eta.cumsum(0)])
    t, s = torch.arange(steps).unsqueeze(-1), torch.arange(steps)
    return torch.where(s <= t, total[t] - total[(t - s).clamp_min(0)], -torch.inf)


def discounted_growth(exponent: Tensor, beta: float) -> Tensor:
    """(1 - beta) sum_{s <= t} beta^s (e^exponent[t, s] - 1) for every t (Assumption 3.4's sum)."""
    weights = beta ** torch.arange(exponent.shape[-1], dtype=torch.float64)
    return (1 - beta) * (weights * torch.expm1(exponent).clamp_min(0)).sum(-1)


def _step_sizes(step_size: Schedule, steps: int) -> Tensor:
    return torch.tensor([float(step_size.at(t)) for t in range(steps)], dtype=torch.float64)
