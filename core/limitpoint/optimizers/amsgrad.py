"""AMSGrad: Adam, divided by the largest second moment so far."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from limitpoint.numerics import Scaled, maximum, zeros_like
from limitpoint.optimizers.adam import Adam, Moments
from limitpoint.optimizers.roles import role
from limitpoint.problems.problem import Oracle


class PeakMoments(NamedTuple):
    """Both moments, and the largest second one so far."""

    m: Scaled
    v: Scaled
    peak: Scaled


@role("amsgrad", "Adam over the largest v so far")
@dataclass(frozen=True, eq=False)
class AMSGrad(Adam):
    """m, v as Adam's; p <- max(p, v); w <- w - eta m / sqrt(p) (Reddi, Kale and Kumar 2018)."""

    def init(self, oracle: Oracle, w: Tensor) -> Any:
        """Zero moments."""
        return PeakMoments(zeros_like(w), zeros_like(w), zeros_like(w))

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        """One step."""
        new = self.moments(oracle.grad(w), Moments(state.m, state.v))
        peak = maximum(state.peak, new.v)
        eta = self.step_size.at(t)
        if self.weight_decay:
            w = (1 - eta * self.weight_decay) * w
        return w - eta * self.ratio(Moments(new.m, peak), t), PeakMoments(new.m, new.v, peak)
