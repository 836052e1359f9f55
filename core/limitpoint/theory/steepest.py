r"""The argument of signgd_adam, replayed: what its lemmas say at each step of a steepest descent.

Everything is measured in the *reach* rho of a norm, the farthest that a unit step can move a margin
(`limitpoint.theory.measures.reach`): 2B for the max-norm. A step of length eta moves each margin by
at most x = rho eta, so that for cross-entropy, the multiclass exponential loss and PairLogLoss

    L(W - eta D) <= L(W) - eta <grad L(W), D> + G(W) (e^x - 1 - x),    ||D|| <= 1:

the second derivative of L along the way is at most x^2 G there (for cross-entropy it is the
variance of the logits' change v under s, at most sum_c s_c (v_c - v_y)^2), and G grows at most like
e^{x u}. As e^x - 1 - x <= (x^2 / 2) e^x, this is Lemma C.1 with its alpha_{s1}, and a little more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from limitpoint.engines.trajectory import Trajectory
from limitpoint.numerics import exp, tensor
from limitpoint.optimizers import Rule
from limitpoint.problems.problem import Problem
from limitpoint.theory.measures import log_dual_size, log_proxy, matrix_norm, reach
from limitpoint.theory.runner import Runner


@dataclass(frozen=True, eq=False)
class Replay:
    """Loss, proxy and gradient at every step of a run.

    Args:
        log_loss: log L(W_t), shape (T + 1, *batch).
        log_proxy: log G(W_t), likewise.
        log_dual: log ||grad L(W_t)||_*, likewise.
        progress: <grad L(W_t), W_t - W_{t+1}> / ||grad L(W_t)||_*, shape (T, *batch): eta_t for
            steepest descent, else less.
        step_size: eta_t, shape (T, *batch).
        reach: rho of the norm.
        n: examples.
    """

    log_loss: Tensor
    log_proxy: Tensor
    log_dual: Tensor
    progress: Tensor
    step_size: Tensor
    reach: Tensor
    n: int

    @property
    def ratio(self) -> Tensor:
        """G / L at the steps taken, shape (T, *batch)."""
        return torch.exp(self.log_proxy - self.log_loss)[:-1]

    @property
    def remainder(self) -> Tensor:
        """e^x - 1 - x at x = rho eta_t, shape (T, *batch)."""
        return remainder(self.reach * self.step_size)

    def descent_excess(self) -> Tensor:
        """(L(W_{t+1}) - bound of Lemma C.1) / L(W_t), <= 0 for steepest descent; (T, *batch)."""
        progress = self.step_size * torch.exp(self.log_dual - self.log_loss)[:-1]
        return torch.expm1(self.log_loss.diff(dim=0)) + progress - self.ratio * self.remainder

    def separated(self) -> Tensor:
        """First step from which L <= log 2 / n for good, T + 1 if there is none; shape (*batch)."""
        return last_time(self.log_loss > math.log(math.log(2) / self.n)) + 1

    def margin_bound(self, gamma: float | Tensor) -> Tensor:
        """Lower bound on the margin of W_t by Lemma C.2, -inf before `separated`; (T + 1, *batch).

        From t_1 on, gamma sum eta G / L - sum (e^x - 1 - x) G / L over t_1 <= s < t.
        """
        return accumulated(self.gain(gamma), self.separated())

    def margin_floor(self, gamma: float | Tensor) -> Tensor:
        """Lower bound on the margin of W_t for every t; shape (T + 1, *batch).

        (8) gives log L(W_t) <= log L(W_0) - sum of the gains, and Lemma B.4, in its sharper form,
        margin >= -log(e^{nL} - 1) for every W.
        """
        gains = accumulated(self.gain(gamma), torch.zeros((), dtype=torch.int64))
        return -log_expm1(self.log_loss[0] - gains + math.log(self.n))

    def onsets(self, gamma: float | Tensor) -> tuple[Tensor, Tensor]:
        """t_1 and t_2 of the proof of Theorem 5.3, T and T + 1 if not in this run; shape (*batch).

        From t_1 on e^x - 1 - x <= gamma eta_t / 2, so that (20) holds; t_2 is the first step after
        it with G <= 1/(2n), hence L <= log 2 / n and, the loss falling, so for good.
        """
        t_1 = last_time(self.remainder > gamma * self.step_size / 2) + 1
        small = self.log_proxy <= -math.log(2 * self.n)
        late = torch.arange(len(small)).reshape(-1, *[1] * (small.ndim - 1)) >= t_1
        return t_1, len(small) - (small & late).cumsum(0).clamp(max=1).sum(0)

    def gain(self, gamma: float | Tensor) -> Tensor:
        """By how much log L falls at least at each step by (8), shape (T, *batch)."""
        return self.ratio * (gamma * self.step_size - self.remainder)


def paced(
    trial: Runner,
    problem: Problem,
    rule: Rule,
    initial: float,
    steps: int,
    *,
    start: Tensor | None = None,
    **options: Any,
) -> Trajectory:
    """A run on data scaled so that a user's own eta_0 is worth what the claim would have chosen.

    Normalised rules do not feel the gradient's length, so that data c times as large make a step of
    eta_0 / c as good as eta_0: a learning rate sets the units of W, and no horizon.

    Args:
        trial: the claim's.
        problem: linear.
        rule: with a schedule of one eta_0 > 0.
        initial: the claim's eta_0 > 0.
        steps, start, options: as in `limitpoint.run`.

    Returns:
        The run as if on `problem` itself with the claim's eta_0.
    """
    c = initial / float(torch.as_tensor(rule.step_size.at(0)).flatten()[0])
    start = problem.start if start is None else start
    scaled = problem if c == 1 else replace(problem, X=c * problem.X)
    run = trial.run(scaled, rule, steps, start=start / c, **options)
    return replace(run, w=c * run.w, integrals={k: c * v for k, v in run.integrals.items()})


def replay(problem: Problem, run: Trajectory, norm: float | str) -> Replay:
    """What the lemmas speak of, along a run.

    Args:
        problem: of two classes or more, linear.
        run: every step of it recorded, 0 to T; iterates of shape (T + 1, *batch, k, d).
        norm: the norm of the steepest descent.

    Raises:
        ValueError: a step was not recorded.
    """
    if run.times[0] != 0 or (run.times[1:] - run.times[:-1] != 1).any():
        raise ValueError("a replay needs every step recorded, from 0 on")
    log_loss, g = problem.log_value(run.w), problem.grad(run.w)
    log_dual = log_dual_size(problem, g, norm)
    unit = exp(-log_dual.reshape(*log_dual.shape, *[1] * problem.ndim))
    descent = tensor(unit * g)[:-1] * -run.w.diff(dim=0)
    return Replay(
        log_loss,
        log_proxy(problem, run.w),
        log_dual,
        descent.sum(problem.dims),
        _step_sizes(run, log_loss),
        reach(problem, norm),
        problem.n,
    )


def promise(problem: Problem, run: Trajectory, norm: float | str) -> Tensor:
    """What a run's measured progress promises of its last margin, whatever the rule.

    Each step has L(W_{t+1}) <= L(W_t)(1 - g_t), g_t = [<grad L(W_t), W_t - W_{t+1}> - G(W_t)(e^x -
    1 - x)] / L(W_t) with x = rho ||W_{t+1} - W_t||, so that for every s the margin of W_T is at
    least -log(exp(n L(W_s) exp(-sum_{s <= t < T} g_t)) - 1): the largest of these. Nothing in it is
    fitted, and a rule that does not descend is promised little.

    Args:
        problem, run, norm: as in `replay`.

    Returns:
        Shape (*batch).
    """
    w, log_loss = run.w, problem.log_value(run.w)
    before, x = w[:-1], reach(problem, norm) * matrix_norm(w.diff(dim=0), norm, problem.ndim)
    unit = exp(-log_loss[:-1].reshape(*log_loss[:-1].shape, 1, 1))
    along = -(tensor(unit * problem.grad(before)) * w.diff(dim=0)).sum(problem.dims)
    fall = along - torch.exp(log_proxy(problem, before) - log_loss[:-1]) * remainder(x)
    # Summed from the end: of long first steps only those count that are worth it.
    rest = torch.cat([fall.flip(0).cumsum(0).flip(0), torch.zeros_like(log_loss[:1])])
    return -log_expm1((log_loss - rest).amin(0) + math.log(problem.n))


def _step_sizes(run: Trajectory, like: Tensor) -> Tensor:
    """eta_t of the steps taken, shape (T, *batch), with ones where the batch shares them."""
    taken = run.integrals["step_size"].diff(dim=0)
    shape = like.shape[1:] if taken.ndim > 1 else (1,) * (like.ndim - 1)
    return taken.reshape(len(taken), *shape)


def remainder(x: Tensor) -> Tensor:
    """e^x - 1 - x."""
    return torch.expm1(x) - x


def log_expm1(log_x: Tensor) -> Tensor:
    """log(e^x - 1), given log x."""
    x = torch.exp(log_x)
    return torch.where(log_x < -30, log_x, x + torch.log(-torch.expm1(-x)))


def last_time(happens: Tensor) -> Tensor:
    """Last index along the first dimension where something happens, -1 if it never does."""
    times = torch.arange(len(happens)).reshape(-1, *[1] * (happens.ndim - 1))
    return torch.where(happens, times, -1).amax(0)


def accumulated(terms: Tensor, start: Tensor) -> Tensor:
    """Sums of terms (T, *batch) over start <= s < t, -inf for t < start; shape (T + 1, *batch)."""
    times = torch.arange(len(terms) + 1).reshape(-1, *[1] * (terms.ndim - 1))
    counted = torch.where(times[:-1] >= start, terms, torch.zeros_like(terms))
    sums = torch.cat([torch.zeros_like(terms[:1]), counted.cumsum(0)])
    return torch.where(times >= start, sums, -torch.inf)
