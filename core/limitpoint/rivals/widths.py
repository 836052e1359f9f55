"""Step sizes that do not follow the width of a network as they should."""

from typing import Any

from torch import Tensor

from limitpoint import optimizers
from limitpoint.optimizers import Moments
from limitpoint.problems.problem import Oracle
from limitpoint.rivals._registry import rival


@rival("mup-decay-unscaled", "lambda is not scaled as eta is: the decay vanishes with the width")
class _DecayUnscaled(optimizers.MuAdam):
    """MuAdam over a decoupled decay (microsoft/mup#73)."""

    def step(self, oracle: Oracle, w: Tensor, state: Moments, t: int) -> tuple[Tensor, Any]:
        moments = self.moments(oracle.grad(w), state)
        eta = self.step_size.at(t) / self.growth()
        return (1 - eta * self.weight_decay) * w - eta * self.ratio(moments, t), moments


@rival("mup-fans-swapped", "divided by the growth of a layer's output, and not of its input")
class _FansSwapped(optimizers.MuAdam):
    def growth(self) -> Any:
        turned = [one._replace(fan_in=one.fan_out, fan_out=one.fan_in) for one in self.layers]
        return optimizers.MuAdam(layers=turned).growth()


@rival("mup-readout-unscaled", "the step of the last layer is not scaled")
class _ReadoutUnscaled(optimizers.MuAdam):
    def growth(self) -> Any:
        last = [one._replace(fan_in=1.0) for one in self.layers[-1:]]
        return optimizers.MuAdam(layers=[*self.layers[:-1], *last]).growth()


@rival("mup-root", "divided by the root of the growth")
class _Root(optimizers.MuAdam):
    """As the standard deviation of its start is."""

    def growth(self) -> Any:
        return super().growth() ** 0.5
