"""Wrong training steps: SAM as deep networks are trained with it, each wrong in one way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from limitpoint.optimizers import DeepNSAM, DeepSAM, DeepSGD, Rule
from limitpoint.problems.problem import Oracle
from limitpoint.rivals._registry import mutation, plain

ROLE = "deep-sam"

plain("deep-n-sam", "n-SAM, its ascent on another minibatch, passed off as m-SAM", ROLE, DeepNSAM,
      m=None)  # fmt: skip
plain("deep-m-ignored", "one perturbation for the whole minibatch", ROLE, DeepSAM, m=None)
plain("deep-no-ascent", "the ascent is left out", ROLE, DeepSGD)


def _sam(rule: Rule) -> DeepSAM:
    assert isinstance(rule, DeepSAM)
    return rule


def _doubled(rule: Rule) -> Rule:
    return replace(_sam(rule), rho=2 * _sam(rule).rho)


def _other_length(rule: Rule) -> Rule:
    return replace(_sam(rule), normalised=not _sam(rule).normalised)


def _without_momentum(rule: Rule) -> Rule:
    return replace(_sam(rule), momentum=0.0)


class _OldPoint(DeepSAM):
    """The ascent is made, and the second gradient is taken where the first one was."""

    def at_maximisers(self, oracle: Oracle, w: Tensor, t: int, rho: float | Tensor) -> Tensor:
        return super().at_maximisers(oracle, w, t, rho * 0)


class _Downhill(DeepSAM):
    """The perturbation goes down the loss."""

    def at_maximisers(self, oracle: Oracle, w: Tensor, t: int, rho: float | Tensor) -> Tensor:
        return super().at_maximisers(oracle, w, t, -rho)


class _Kept(DeepSAM):
    """The perturbation of the minibatch is not taken back before the step."""

    def step(
        self, oracle: Oracle, w: Tensor, state: Tensor | None, t: int
    ) -> tuple[Tensor, Tensor]:
        moved, velocity = super().step(oracle, w, state, t)
        return moved + (self.maximiser(oracle.batch(t), w, self.rho) - w), velocity


class _Stale(DeepSAM):
    """Step t has the minibatch's perturbation of the step before."""

    def init(self, oracle: Oracle, w: Tensor) -> Any:
        return None, torch.zeros_like(w)

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        velocity, move = state
        seen = oracle.batch(t)
        moved, velocity = DeepSGD(self.step_size, self.momentum, self.weight_decay).step(
            _Moved(seen, move), w, velocity, t
        )
        return moved, (velocity, self.maximiser(seen, w, self.rho) - w)


class _Moved(Oracle):
    """An objective whose gradient is that at a point moved by a fixed amount."""

    def __init__(self, seen: Oracle, move: Tensor) -> None:
        self.seen, self.move = seen, move

    @property
    def ndim(self) -> int:
        return self.seen.ndim

    def value(self, w: Tensor) -> Tensor:
        return self.seen.value(w)

    def grad(self, w: Tensor) -> Any:
        return self.seen.grad(w + self.move)


mutation("deep-rho-doubled", "the radius is twice as long", ROLE, _doubled)
mutation("deep-length", "normalised where it should not be, and not where it should", ROLE,
         _other_length)  # fmt: skip
mutation("deep-no-momentum", "the momentum is left out", ROLE, _without_momentum)
plain("deep-old-point", "the second gradient is taken at the old point", ROLE, _OldPoint)
plain("deep-downhill", "the perturbation goes downhill", ROLE, _Downhill)
plain("deep-kept", "the perturbation is not taken back", ROLE, _Kept)
plain("deep-stale", "the perturbation is that of the step before", ROLE, _Stale)
