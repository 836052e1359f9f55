"""Wrong weight decays of gradient descent."""

from typing import Any

from torch import Tensor

from limitpoint import optimizers
from limitpoint.numerics import tensor
from limitpoint.problems.problem import Oracle
from limitpoint.rivals._registry import rival

rival("gd-decay-lost", "the weight decay is ignored", weight_decay=0.0)(optimizers.DecayedGD)


@rival("gd-decay-unscaled", "the decay is not multiplied by the step size")
class _Unscaled(optimizers.DecayedGD):
    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        eta = self.step_size.at(t)
        return (1 - self.weight_decay) * w - tensor(eta * oracle.grad(w)), None


@rival("gd-decay-after", "the decay is applied after the step, to it as well")
class _After(optimizers.DecayedGD):
    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        eta = self.step_size.at(t)
        return (1 - eta * self.weight_decay) * (w - tensor(eta * oracle.grad(w))), None


@rival("gd-decay-squared", "the decay is multiplied by the step size twice")
class _Twice(optimizers.DecayedGD):
    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        eta = self.step_size.at(t)
        return (1 - eta**2 * self.weight_decay) * w - tensor(eta * oracle.grad(w)), None
