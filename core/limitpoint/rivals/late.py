"""What goes wrong after a while: the first hundreds of steps are right."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limitpoint import optimizers
from limitpoint.numerics import scaled, tensor
from limitpoint.problems.problem import Oracle
from limitpoint.rivals._registry import mutation, rival
from limitpoint.rivals.any_rule import Mutant


@mutation("accelerated-late", "half of the last displacement is added from step 200 on")
class _AcceleratedLate(Mutant):
    def init(self, oracle: Oracle, w: Tensor) -> Any:
        return torch.zeros_like(w), super().init(oracle, w)

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        last, inner = state
        moved, inner = super().step(oracle, w, inner, t)
        move = moved - w + (last / 2 if t >= 200 else 0.0)
        return w + move, (move, inner)


@rival("sign-momentum-late", "momentum that sets in after 200 steps")
class _MomentumLate(optimizers.SteepestDescent):
    """The sign of an average of gradients, whose weight on the past grows from step 200 on."""

    def init(self, oracle: Oracle, w: Tensor) -> Any:
        return scaled(torch.zeros_like(w))

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        beta = 0.9 * min(max((t - 200) / 1800, 0.0), 1.0)
        m = beta * state + (1 - beta) * scaled(oracle.grad(w))
        return w - self.step_size.at(t) * m.sign(), m


@rival("usam-switched", "the perturbation is dropped after 500 steps")
class _Switched(optimizers.USAM):
    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        if t < 500:
            return super().step(oracle, w, state, t)
        return w - tensor(self.step_size.at(t) * oracle.grad(w)), state


@mutation("step-floor", "the step size stops falling after 1000 steps")
class _Floored(Mutant):
    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        return super().step(oracle, w, state, min(t, 1000))


@mutation("state-reset", "the moments are zeroed every 1500 steps")
class _Reset(Mutant):
    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        if t and t % 1500 == 0:
            state = self.rule.init(oracle, w)
        return super().step(oracle, w, state, t)
