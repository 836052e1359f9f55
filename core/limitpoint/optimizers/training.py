"""Stochastic gradient descent and SAM as deep networks are trained with them.

A step sees the oracle's minibatch, `oracle.batch(t)`; momentum and weight decay are those of
`torch.optim.SGD`. Where an oracle knows a faster form of a group's own perturbation
(`m_sam_grad`), it is used: equal to the definition here to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from limitpoint.numerics import ratio, tensor
from limitpoint.optimizers.roles import role
from limitpoint.optimizers.rule import Rule, check_range
from limitpoint.optimizers.schedules import Schedule
from limitpoint.problems.problem import Oracle


@dataclass(frozen=True, eq=False)
class DeepSGD(Rule):
    """v <- mu v + g + lambda w; w <- w - eta v, with g the gradient of the step's minibatch.

    Args:
        momentum: mu in [0, 1).
        weight_decay: lambda >= 0.
    """

    momentum: float = 0.9
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("momentum", self.momentum, 0.0, 1.0)
        check_range("weight_decay", self.weight_decay, 0.0, float("inf"))

    def gradient(self, oracle: Oracle, w: Tensor, t: int) -> Tensor:
        """What step t takes for the gradient at w."""
        return tensor(oracle.batch(t).grad(w))

    def step(
        self, oracle: Oracle, w: Tensor, state: Tensor | None, t: int
    ) -> tuple[Tensor, Tensor]:
        """One step; the state is v."""
        g = self.gradient(oracle, w, t)
        if self.weight_decay:
            g = g + self.weight_decay * w
        velocity = g if state is None else self.momentum * state + g
        return w - self.step_size.at(t) * velocity, velocity


@role("deep-sam", "momentum over m-SAM's gradient of minibatches, as deep networks are trained")
@dataclass(frozen=True, eq=False)
class DeepSAM(DeepSGD):
    """m-SAM: each m examples of the minibatch have their own perturbation (understanding_sam (4)).

    Args:
        rho: radius >= 0 (a tensor broadcasts over the batch of runs).
        m: how many examples share a perturbation; divides the minibatch; None for all of it.
        normalised: the perturbation has length rho; else it is rho times the group's gradient.
        ascent_steps: K; with K > 1, projected ascent in steps of `ascent_length` times rho.
        ascent_length: in units of rho; only with K > 1.
        radii: a schedule of radii that replaces rho.
    """

    rho: float | Tensor = 0.1
    m: int | None = None
    normalised: bool = True
    ascent_steps: int = 1
    ascent_length: float = 0.25
    radii: Schedule | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not bool((torch.as_tensor(self.rho) >= 0).all()):
            raise ValueError(f"invalid rho: {self.rho}; must be >= 0")
        if self.ascent_steps < 1:
            raise ValueError(f"invalid ascent_steps: {self.ascent_steps}; must be >= 1")

    def gradient(self, oracle: Oracle, w: Tensor, t: int) -> Tensor:
        """The mean over the groups of the gradient at the group's own maximiser."""
        rho = self.rho if self.radii is None else self.radii.at(t)
        return self.at_maximisers(oracle, w, t, rho)

    def at_maximisers(self, oracle: Oracle, w: Tensor, t: int, rho: float | Tensor) -> Tensor:
        """The same at a given radius."""
        seen = oracle.batch(t)
        fast = getattr(seen, "m_sam_grad", None)
        if fast is not None and self.ascent_steps == 1:
            return fast(w, rho, self.m, normalised=self.normalised)
        groups = seen if self.m is None else seen.sharpness_batches(self.m)
        start = w if self.m is None else w.unsqueeze(-2)
        if isinstance(rho, Tensor) and self.m is not None:
            rho = rho.unsqueeze(-2)
        g = tensor(groups.grad(self.maximiser(groups, start, rho)))
        return g if self.m is None else g.mean(-2)

    def maximiser(self, groups: Oracle, w: Tensor, rho: float | Tensor) -> Tensor:
        """Where projected ascent from w ends; w broadcasts over the groups."""
        if self.ascent_steps == 1:
            return w + rho * self.ascent(groups, w)
        return projected_ascent(
            groups, w, rho, steps=self.ascent_steps, length=self.ascent_length * rho
        )

    def ascent(self, groups: Oracle, w: Tensor) -> Tensor:
        """Where the perturbation points, per unit of radius."""
        g = tensor(groups.grad(w))
        return unit(g) if self.normalised else g


class DeepNSAM(DeepSAM):
    """n-SAM as the paper trains it: the ascent is on another minibatch (understanding_sam (21))."""

    def at_maximisers(self, oracle: Oracle, w: Tensor, t: int, rho: float | Tensor) -> Tensor:
        """The gradient of the step's minibatch at the other one's maximiser."""
        point = self.maximiser(oracle.batch(t, turn=1), w, rho)
        return tensor(oracle.batch(t).grad(point))


class DeepRandom(DeepSAM):
    """Random perturbations: a fresh point of the sphere of radius rho before each gradient."""

    def at_maximisers(self, oracle: Oracle, w: Tensor, t: int, rho: float | Tensor) -> Tensor:
        """The gradient of the step's minibatch at a random point."""
        stream = torch.Generator().manual_seed(t)
        noise = torch.randn(w.shape, generator=stream, dtype=w.dtype).to(w.device)
        return tensor(oracle.batch(t).grad(w + rho * unit(noise)))


@dataclass(frozen=True, eq=False)
class Switch(Rule):
    """A rule up to a step, another from there on; the velocity goes over.

    Args:
        step_size: taken from the first.
        first: up to the switch.
        then: from it on.
        at: the first step of `then`.
    """

    step_size: Schedule = field(init=False, repr=False)
    first: Rule
    then: Rule
    at: int

    def __post_init__(self) -> None:
        # Rules are frozen dataclasses.
        object.__setattr__(self, "step_size", self.first.step_size)

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        """One step of the rule whose turn it is."""
        rule = self.first if t < self.at else self.then
        return rule.step(oracle, w, state, t)


def unit(x: Tensor) -> Tensor:
    """x over its length along the last dimension; zero where that is."""
    return ratio(x, torch.linalg.vector_norm(x, dim=-1, keepdim=True))


def projected_ascent(
    oracle: Oracle,
    w: Tensor,
    rho: float | Tensor,
    *,
    steps: int,
    length: float | Tensor,
) -> Tensor:
    """Ascent along the unit gradient, each point brought back into the ball of radius rho around w.

    Args:
        oracle: whose value is to grow.
        w: centre, shape (*batch, d).
        rho: radius.
        steps: how many.
        length: of each step.

    Returns:
        The last point, shape (*batch, d).

    Source: understanding_sam, App. D (Sharpness computation).
    """
    move = torch.zeros_like(w)
    for _ in range(steps):
        move = move + length * unit(tensor(oracle.grad(w + move)))
        size = torch.linalg.vector_norm(move, dim=-1, keepdim=True)
        move = move * (rho / size.clamp_min(torch.finfo(w.dtype).tiny)).clamp_max(1.0)
    return w + move
