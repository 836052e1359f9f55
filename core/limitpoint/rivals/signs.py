"""Wrong Lions."""

from typing import Any

from torch import Tensor

from limitpoint import optimizers
from limitpoint.numerics import Scaled, scaled, sign, tensor
from limitpoint.optimizers import Rule
from limitpoint.optimizers.schedules import Schedule
from limitpoint.problems.problem import Oracle
from limitpoint.rivals._registry import build, rival


@rival("lion-beta-swap", "beta1 and beta2 swapped")
def _beta_swap(step_size: Schedule, **settings: Any) -> Rule:
    beta1, beta2 = settings.get("beta1", 0.9), settings.get("beta2", 0.99)
    return build(optimizers.Lion, step_size, settings, beta1=beta2, beta2=beta1)


rival("lion-no-decay", "the weight decay is ignored", weight_decay=0.0)(optimizers.Lion)


@rival("lion-coupled-decay", "the decay is added to the gradient, under the sign")
class _CoupledDecay(optimizers.Lion):
    def step(self, oracle: Oracle, w: Tensor, state: Scaled, t: int) -> tuple[Tensor, Any]:
        g = scaled(tensor(oracle.grad(w)) + self.weight_decay * w)
        seen = sign(self.beta1 * state + (1 - self.beta1) * g)
        kept = self.beta2 * state + (1 - self.beta2) * g
        return w - self.step_size.at(t) * seen, kept


@rival("lion-decay-unscaled", "the decay is not multiplied by the step size")
class _DecayUnscaled(optimizers.Lion):
    def step(self, oracle: Oracle, w: Tensor, state: Scaled, t: int) -> tuple[Tensor, Any]:
        moved, kept = super().step(oracle, w, state, t)
        return moved + (self.step_size.at(t) - 1) * self.weight_decay * w, kept


@rival("lion-one-average", "the average that is kept is the one whose sign is the step (Signum)")
class _OneAverage(optimizers.Lion):
    def step(self, oracle: Oracle, w: Tensor, state: Scaled, t: int) -> tuple[Tensor, Any]:
        g, eta = scaled(oracle.grad(w)), self.step_size.at(t)
        kept = self.beta2 * state + (1 - self.beta2) * g
        return (1 - eta * self.weight_decay) * w - eta * sign(kept), kept


@rival("lion-averaged-first", "the kept average is updated before the step is taken from it")
class _AveragedFirst(optimizers.Lion):
    def step(self, oracle: Oracle, w: Tensor, state: Scaled, t: int) -> tuple[Tensor, Any]:
        g, eta = scaled(oracle.grad(w)), self.step_size.at(t)
        kept = self.beta2 * state + (1 - self.beta2) * g
        seen = sign(self.beta1 * kept + (1 - self.beta1) * g)
        return (1 - eta * self.weight_decay) * w - eta * seen, kept
