"""Stochastic n-SAM and m-SAM on finite sums (understanding_sam, Sec. 5.1 and App. C.2).

n-SAM (21) takes ascent and descent from two batches and asks that L is smooth, (A2'); m-SAM (4)
takes both from one and asks it of each term, (A2).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from limitpoint import problems
from limitpoint.optimizers import Minibatch
from limitpoint.optimizers.schedules import Schedule
from limitpoint.problems import finite_sum
from limitpoint.problems.finite_sum import FiniteSum
from limitpoint.theory.runner import Runner

#: Examples of a batch, and independent runs of an expectation that is sampled.
BATCH, RUNS = 2, 256


def smoothness(role: str, terms: FiniteSum) -> float:
    """The beta that is asked for: of L alone with two batches (A2'), of each term with one (A2)."""
    return terms.mean.constants["beta"] if role == "n-sam" else terms.beta


def sums(role: str, seed: int) -> Iterator[tuple[str, FiniteSum]]:
    """Non-convex means with little and much noise, with and without differing curvatures.

    With two batches the terms may be much steeper than their mean: (A2') does not ask for them.
    """
    chain, valley = problems.parabola_chain(3), problems.sine_valley()
    if role == "n-sam":
        yield "parabola chain, steep terms", problems.noisy_terms(chain, seed, 3, 1.0, 5.0)
    yield "parabola chain, little noise", problems.noisy_terms(chain, seed, 3, 0.01, 0.0)
    yield "parabola chain, ripples", problems.noisy_terms(chain, seed, 3, 1.0, 0.5)
    yield "sine valley, ripples", problems.noisy_terms(valley, seed, 3, 3.0, 2.0)


def minibatch(
    trial: Runner,
    role: str,
    step_size: Schedule | Tensor,
    rho: float | Tensor,
    batches: Tensor,
    **options: Any,
) -> Minibatch:
    """Who plays n-SAM or m-SAM, on minibatches (steps, calls, *batch, b)."""
    if role == "m-sam":
        options["batch_size"] = batches.shape[-1]
    return Minibatch(trial.optimizer(role, step_size, rho=rho, **options), batches)


def calls(role: str) -> int:
    """Batches a step."""
    return 2 if role == "n-sam" else 1


def expected_step(
    trial: Runner, role: str, terms: FiniteSum, pair: tuple[Tensor, Tensor], size: int, w: Tensor
) -> tuple[Tensor, Tensor]:
    """E <direction, grad L> and E L(w_1), exactly: over every outcome of the batches.

    Args:
        trial: the claim's.
        role: "n-sam" or "m-sam".
        terms: the finite sum.
        pair: gamma and rho, of shape (pairs, 1, 1, 1), or (1, 1, points, 1) where each point has
            its own.
        size: b.
        w: points, shape (points, d).

    Returns:
        Two of shape (pairs, points).
    """
    batches = finite_sum.all_batches(terms.n, calls=calls(role), size=size)
    gamma, rho = pair
    start = w.expand(len(gamma), batches.shape[2], -1, -1)
    rule = minibatch(trial, role, gamma, rho, batches)
    after = trial.run(terms, rule, 1, start=start, record=(0, 1)).final
    aligned = ((w - after) / gamma * terms.grad(w)).sum(-1).mean(1)
    return aligned, terms.value(after).mean(1)


class Horizon(NamedTuple):
    """The runs of one T under Theorem 2's steps.

    Args:
        steps: T.
        gamma: 1 / (sqrt(T) beta).
        rho: 1 / (T^(1/4) beta).
        squares: mean of |grad L(w_t)|^2 over t < T, shape (RUNS).
        last: L(w_T), shape (RUNS).
    """

    steps: int
    gamma: float
    rho: float
    squares: Tensor
    last: Tensor


def horizons(trial: Runner, role: str, terms: FiniteSum, start: Tensor) -> Iterator[Horizon]:
    """T = 1, 4, 16, 64, 256 (and two more at the full horizon), side by side."""
    several = tuple(4**k for k in range(trial.steps(5, 7)))
    T = torch.tensor(several, dtype=torch.float64).reshape(-1, 1, 1)
    beta = smoothness(role, terms)
    gamma, rho = 1 / (T.sqrt() * beta), 1 / (T**0.25 * beta)
    runs = (len(several), RUNS)
    batches = finite_sum.random_batches(
        trial.seed, terms.n, steps=max(several), calls=calls(role), runs=runs, size=BATCH
    )
    run = trial.run(
        terms,
        minibatch(trial, role, gamma, rho, batches),
        max(several),
        start=start.expand(*runs, -1),
        record=several,
        integrals={"squares": lambda w: (terms.grad(w) ** 2).sum(-1)},
    )
    # The integral has the weights of the steps that were taken, a subject's own among them.
    taken = run.integrals["step_size"].flatten(1)
    for k, steps in enumerate(several):
        squares = run.integrals["squares"][k, k] / taken[k, min(k, taken.shape[1] - 1)]
        yield Horizon(steps, float(gamma[k]), float(rho[k]), squares, terms.value(run.w[k, k]))
