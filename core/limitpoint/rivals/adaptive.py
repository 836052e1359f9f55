"""Wrong Adams."""

from typing import Any

import torch
from torch import Tensor

from limitpoint import optimizers
from limitpoint.numerics import Value, maximum, scaled, sqrt, square, tensor, total
from limitpoint.optimizers import Moments, Rule
from limitpoint.optimizers.schedules import Schedule
from limitpoint.problems.problem import Oracle
from limitpoint.rivals._registry import build, rival


@rival("adam-beta-swap", "beta1 and beta2 swapped")
def _beta_swap(step_size: Schedule, **settings: Any) -> Rule:
    beta1, beta2 = settings.get("beta1", 0.9), settings.get("beta2", 0.999)
    return build(optimizers.Adam, step_size, settings, beta1=beta2, beta2=beta1)


rival("adam-epsilon", "an epsilon of 1e-2", epsilon=0.01)(optimizers.Adam)


@rival("amsgrad", "the second moment may only grow (AMSGrad)")
class _AMSGrad(optimizers.Adam):
    def moments(self, g: Value, state: Moments) -> Moments:
        new = super().moments(g, state)
        return Moments(new.m, maximum(new.v, state.v))


@rival("adam-squared-twice", "the gradient is squared twice in the second moment")
class _SquaredTwice(optimizers.Adam):
    def moments(self, g: Value, state: Moments) -> Moments:
        new = super().moments(g, state)
        v = self.beta2 * state.v + (1 - self.beta2) * square(square(scaled(g)))
        return Moments(new.m, v)


@rival("adam-undamped", "the factor 1 - beta1 is missing")
class _FirstMomentUndamped(optimizers.Adam):
    def moments(self, g: Value, state: Moments) -> Moments:
        new = super().moments(g, state)
        return Moments(self.beta1 * state.m + scaled(g), new.v)


@rival("adam-root-lost", "divided by the second moment instead of its root")
class _RootLost(optimizers.Adam):
    def ratio(self, moments: Moments, t: int) -> Tensor:
        return tensor(moments.m) / tensor(moments.v).clamp_min(1e-300)


@rival("adam-shared-moment", "one second moment for all classes")
class _OneForAllClasses(optimizers.Adam):
    def moments(self, g: Value, state: Moments) -> Moments:
        new = super().moments(g, state)
        shared = total(new.v, -2, keepdim=True) / g.shape[-2]
        return Moments(new.m, shared.map(lambda part: part.expand(g.shape)))


@rival("adam-coupled-decay", "the decay is added to the gradient (Adam with l2)")
class _CoupledDecay(optimizers.Adam):
    def step(self, oracle: Oracle, w: Tensor, state: Moments, t: int) -> tuple[Tensor, Any]:
        moments = self.moments(tensor(oracle.grad(w)) + self.weight_decay * w, state)
        return w - self.step_size.at(t) * self.ratio(moments, t), moments


rival("adam-no-decay", "the weight decay is ignored", weight_decay=0.0)(optimizers.Adam)
rival("adam-no-epsilon", "the epsilon is ignored", epsilon=0.0)(optimizers.Adam)


@rival("adam-epsilon-inside", "epsilon is added to v, under the root")
class _EpsilonInside(optimizers.Adam):
    def ratio(self, moments: Moments, t: int) -> Tensor:
        root = torch.sqrt(tensor(moments.v) + self.epsilon)
        return tensor(moments.m) / root.clamp_min(1e-300)


@rival("adam-epsilon-clamped", "sqrt(v) clamped at epsilon from below")
class _EpsilonClamped(optimizers.Adam):
    def ratio(self, moments: Moments, t: int) -> Tensor:
        root = tensor(sqrt(moments.v))
        return tensor(moments.m) / torch.maximum(root, root.new_tensor(1e-300) + self.epsilon)


@rival("adam-epsilon-grown", "epsilon times the root of the number of entries")
class _EpsilonGrown(optimizers.Adam):
    def ratio(self, moments: Moments, t: int) -> Tensor:
        root = tensor(sqrt(moments.v))
        damped = root + self.epsilon * root.shape[-2:].numel() ** 0.5
        return tensor(moments.m) / damped.clamp_min(1e-300)


@rival("adam-half-corrected", "the bias of the first moment alone is corrected")
class _HalfCorrected(optimizers.Adam):
    """m / (1 - beta1^t) over the root of a v that is not corrected."""

    def ratio(self, moments: Moments, t: int) -> Tensor:
        return super().ratio(moments, t) / (1 - self.beta1 ** (t + 1))


@rival("adam-late-moment", "divided by the second moment of one step ago")
class _LateSecondMoment(optimizers.Adam):
    """v_{t-1}, as ADOPT has it; the first step has no other than its own."""

    def step(self, oracle: Oracle, w: Tensor, state: Moments, t: int) -> tuple[Tensor, Any]:
        moments = self.moments(oracle.grad(w), state)
        late = moments if t == 0 else Moments(moments.m, state.v)
        eta = self.step_size.at(t)
        return (1 - eta * self.weight_decay) * w - eta * self.ratio(late, t), moments


@rival("adamw-decay-uphill", "the sign of the weight decay is wrong")
class _DecayUphill(optimizers.Adam):
    def step(self, oracle: Oracle, w: Tensor, state: Moments, t: int) -> tuple[Tensor, Any]:
        moved, state = super().step(oracle, w, state, t)
        return moved + 2 * self.step_size.at(t) * self.weight_decay * w, state


@rival("adamw-decay-unscaled", "the decay is not multiplied by the step size")
class _DecayUnscaled(optimizers.Adam):
    def step(self, oracle: Oracle, w: Tensor, state: Moments, t: int) -> tuple[Tensor, Any]:
        moved, state = super().step(oracle, w, state, t)
        return moved + (self.step_size.at(t) - 1) * self.weight_decay * w, state
