"""Wrong Adams."""

from typing import Any

import torch
from torch import Tensor

from limitpoint import optimizers
from limitpoint.optimizers import Moments, Rule
from limitpoint.problem import Oracle
from limitpoint.rivals._registry import build, plain, rival
from limitpoint.scaled import Scaled, Value, rescaled, square, tensor
from limitpoint.schedules import StepSize


@rival("adam-beta-swap", "beta1 and beta2 swapped")
def _beta_swap(
    step_size: StepSize, beta1: float = 0.9, beta2: float = 0.999, **settings: Any
) -> Rule:
    return build(optimizers.Adam, step_size, settings, beta1=beta2, beta2=beta1)


plain("adam-epsilon", "an epsilon of 1e-2", optimizers.Adam, epsilon=1e-2)


class _AMSGrad(optimizers.Adam):
    def moments(self, g: Value, state: Moments | None) -> Moments:
        new = super().moments(g, state)
        return new if state is None else Moments(new.m, _maximum(new.v, state.v))


def _maximum(x: Value, y: Value) -> Value:
    if isinstance(x, Scaled) and isinstance(y, Scaled):
        top = torch.maximum(x.log_scale, y.log_scale)
        parts = [v.mantissa * torch.exp(v.log_scale - top) for v in (x, y)]
        return Scaled(torch.maximum(*parts), top)
    return torch.maximum(tensor(x), tensor(y))


plain("amsgrad", "the second moment may only grow (AMSGrad)", _AMSGrad)


class _SquaredTwice(optimizers.Adam):
    def moments(self, g: Value, state: Moments | None) -> Moments:
        new = super().moments(g, state)
        v = (1 - self.beta2) * square(square(g))
        return Moments(new.m, rescaled(v if state is None else self.beta2 * state.v + v))


plain("adam-squared-twice", "the gradient is squared twice in the second moment", _SquaredTwice)


class _FirstMomentUndamped(optimizers.Adam):
    def moments(self, g: Value, state: Moments | None) -> Moments:
        new = super().moments(g, state)
        return Moments(rescaled(g if state is None else self.beta1 * state.m + g), new.v)


plain("adam-undamped", "the factor 1 - beta1 is missing", _FirstMomentUndamped)


class _RootLost(optimizers.Adam):
    def ratio(self, moments: Moments, t: int) -> Tensor:
        return tensor(moments.m) / tensor(moments.v).clamp_min(1e-300)


plain("adam-root-lost", "divided by the second moment instead of its root", _RootLost)


class _OneForAllClasses(optimizers.Adam):
    def moments(self, g: Value, state: Moments | None) -> Moments:
        new = super().moments(g, state)
        if not isinstance(new.v, Scaled):
            return Moments(new.m, new.v.mean(-2, keepdim=True).expand_as(new.v))
        aligned = new.v.aligned([-2])
        shared = aligned.mantissa.mean(-2, keepdim=True).expand_as(aligned.mantissa)
        return Moments(new.m, Scaled(shared, aligned.log_scale).normalized())


plain("adam-shared-moment", "one second moment for all classes", _OneForAllClasses)


class _CoupledDecay(optimizers.Adam):
    def step(self, oracle: Oracle, w: Tensor, state: Moments | None, t: int) -> tuple[Tensor, Any]:
        moments = self.moments(tensor(oracle.grad(w)) + self.decay * w, state)
        return w - self.step_size.at(t) * self.ratio(moments, t), moments


plain("adam-coupled-decay", "the decay is added to the gradient (Adam with l2)", _CoupledDecay)
plain("adam-no-decay", "the weight decay is ignored", optimizers.Adam, decay=0.0)
plain("adam-no-epsilon", "the epsilon is ignored", optimizers.Adam, epsilon=0.0)


class _EpsilonInside(optimizers.Adam):
    def ratio(self, moments: Moments, t: int) -> Tensor:
        root = torch.sqrt(tensor(moments.v) + self.epsilon)
        return tensor(moments.m) / root.clamp_min(1e-300)


plain("adam-epsilon-inside", "epsilon is added to v, under the root", _EpsilonInside)
