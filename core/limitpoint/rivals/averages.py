"""Wrong averages of iterates."""

from typing import Any

from torch import Tensor

from limitpoint import optimizers
from limitpoint.numerics import tensor
from limitpoint.problems.problem import Oracle
from limitpoint.rivals._registry import rival


@rival("average-late", "the average gives the new point the weight of the step after")
class _LateWeight(optimizers.ScheduleFree):
    def step(self, oracle: Oracle, w: Tensor, state: Tensor, t: int) -> tuple[Tensor, Any]:
        _, z = super().step(oracle, w, state, t)
        return w + (z - w) / (t + 3), z


@rival("average-exponential", "an exponential average, .9, in place of the mean")
class _Exponential(optimizers.ScheduleFree):
    def step(self, oracle: Oracle, w: Tensor, state: Tensor, t: int) -> tuple[Tensor, Any]:
        _, z = super().step(oracle, w, state, t)
        return w + 0.1 * (z - w), z


@rival("average-swapped", "beta weighs the last point, and 1 - beta the average")
class _Swapped(optimizers.ScheduleFree):
    def step(self, oracle: Oracle, w: Tensor, state: Tensor, t: int) -> tuple[Tensor, Any]:
        beta = self.momentum
        z = state - tensor(self.step_size.at(t) * oracle.grad(beta * state + (1 - beta) * w))
        return w + (z - w) / (t + 2), z


@rival("average-restarted", "the next step starts from the average, and not from the last point")
class _Restarted(optimizers.ScheduleFree):
    def step(self, oracle: Oracle, w: Tensor, state: Tensor, t: int) -> tuple[Tensor, Any]:
        moved, _ = super().step(oracle, w, w, t)
        return moved, moved
