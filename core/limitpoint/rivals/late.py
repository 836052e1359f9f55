"""What goes wrong after a while: the first hundreds of steps are right."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limitpoint import optimizers
from limitpoint.numerics import tensor
from limitpoint.problems.problem import Oracle
from limitpoint.rivals._registry import mutation, plain
from limitpoint.rivals.any_rule import Mutant


class _AcceleratedLate(Mutant):
    """Half of the last displacement is added to each, from step 200 on."""

    def init(self, oracle: Oracle, w: Tensor) -> Any:
        return torch.zeros_like(w), super().init(oracle, w)

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        last, inner = state
        moved, inner = super().step(oracle, w, inner, t)
        move = moved - w + (last / 2 if t >= 200 else 0.0)
        return w + move, (move, inner)


mutation(
    "accelerated-late",
    "half of the last displacement is added from step 200 on",
    "gd usam",
    _AcceleratedLate.around,
)


class _Switched(optimizers.USAM):
    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        if t < 500:
            return super().step(oracle, w, state, t)
        return w - tensor(self.step_size.at(t) * oracle.grad(w)), state


plain("usam-switched", "the perturbation is dropped after 500 steps", "usam", _Switched)
