"""Wrong steepest-descent rules."""

from typing import Any

from torch import Tensor

from limitpoint import optimizers
from limitpoint.problem import Oracle
from limitpoint.rivals._registry import plain


class _Ascent(optimizers.SteepestDescent):
    def direction(self, oracle: Oracle, w: Tensor) -> Tensor:
        return -super().direction(oracle, w)


plain("ascent", "the sign of the step is wrong", _Ascent)


class _Stale(optimizers.SteepestDescent):
    def init(self, oracle: Oracle, w: Tensor) -> Tensor:
        return w

    def step(self, oracle: Oracle, w: Tensor, state: Tensor, t: int) -> tuple[Tensor, Any]:
        return w - self.step_size.at(t) * self.direction(oracle, state), w


plain("stale", "steepest descent along the gradient of one step ago", _Stale)
plain(
    "newton-schulz",
    "five Newton-Schulz iterations in place of the polar factor",
    optimizers.Muon,
    iterations=5,
)
