"""Wrong Adams."""

from typing import Any

import torch
from torch import Tensor

from limitpoint import optimizers
from limitpoint.optimizers import Moments, Rule
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
