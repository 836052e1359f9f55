"""What goes wrong in any sharpness-aware rule: its radius, and what happens at the new point."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from limitpoint.numerics import Value, tensor
from limitpoint.optimizers import Memoryless, Rule, SharpnessAware
from limitpoint.problems.problem import Oracle
from limitpoint.rivals._registry import mutation
from limitpoint.rivals.any_rule import Mutant


def _own(rule: Rule) -> SharpnessAware:
    assert isinstance(rule, SharpnessAware)
    return rule


@mutation("rho-doubled", "the radius is twice as long")
def _rho_doubled(rule: Rule) -> Rule:
    own = _own(rule)
    return replace(own, rho=2 * own.rho, radii=own.radii and own.radii.times(2))


class _Wrong(Mutant, Memoryless):
    """A sharpness-aware rule with another direction."""

    @abstractmethod
    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        """What is subtracted, per unit of step size."""

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        here = replace(self, rule=_own(self.rule).at(t))
        return w - tensor(self.step_size.at(t) * here.direction(oracle, w)), None


@mutation("twice-uphill", "two inner steps in place of one")
class _TwiceUphill(_Wrong):
    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        own = _own(self.rule)
        return oracle.grad(own.perturbed(oracle, own.perturbed(oracle, w)))


@mutation("averaged", "the mean of the plain and the perturbed gradient")
class _Averaged(_Wrong):
    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        return (tensor(oracle.grad(w)) + tensor(_own(self.rule).direction(oracle, w))) / 2


@mutation("one-layer", "only the first layer is perturbed")
class _OneLayer(_Wrong):
    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        moved = _own(self.rule).perturbed(oracle, w)
        if oracle.ndim < 2:  # a linear model is one layer
            return oracle.grad(moved)
        return oracle.grad(torch.cat([moved[..., :1, :], w[..., 1:, :]], -2))


@mutation("perturbation-kept", "the inner step is not undone before the outer one")
class _Kept(_Wrong):
    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        moved, state = super().step(oracle, w, state, t)
        return moved + (_own(self.rule).perturbed(oracle, w) - w), state

    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        return _own(self.rule).direction(oracle, w)
