"""Wrong RMSprops: where epsilon is, what is averaged, what the momentum is of."""

from typing import Any

from torch import Tensor

from limitpoint import optimizers
from limitpoint.numerics import Scaled, ratio, scaled, sqrt, square
from limitpoint.optimizers.rmsprop import Averages
from limitpoint.problems.problem import Oracle
from limitpoint.rivals._registry import rival


@rival("rmsprop-epsilon-inside", "epsilon is under the root")
class _Inside(optimizers.RMSprop):
    def quotient(self, g: Scaled, state: Averages) -> Tensor:
        return ratio(g, sqrt(state.v + scaled(self.epsilon)))


@rival("rmsprop-corrected", "the bias of the average is corrected, as Adam's is")
class _Corrected(optimizers.RMSprop):
    def step(self, oracle: Oracle, w: Tensor, state: Averages, t: int) -> tuple[Tensor, Any]:
        g = scaled(oracle.grad(w))
        new = self.averages(g, state)
        grown = new.v / (1 - self.alpha ** (t + 1))
        b = self.momentum * new.b + scaled(self.quotient(g, new._replace(v=grown)))
        return w - self.step_size.at(t) * b.tensor(), new._replace(b=b)


@rival("rmsprop-late", "today's square is not yet in the average")
class _Late(optimizers.RMSprop):
    """The first step, which has no average, is as long as it would be."""

    def step(self, oracle: Oracle, w: Tensor, state: Averages, t: int) -> tuple[Tensor, Any]:
        g = scaled(oracle.grad(w))
        new = self.averages(g, state)
        b = self.momentum * new.b + scaled(self.quotient(g, state if t else new))
        return w - self.step_size.at(t) * b.tensor(), new._replace(b=b)


@rival("rmsprop-momentum-first", "the momentum is of gradients, and divided afterwards")
class _MomentumFirst(optimizers.RMSprop):
    def step(self, oracle: Oracle, w: Tensor, state: Averages, t: int) -> tuple[Tensor, Any]:
        g = scaled(oracle.grad(w))
        new = self.averages(g, state)
        b = self.momentum * new.b + g
        return w - self.step_size.at(t) * self.quotient(b, new), new._replace(b=b)


@rival("rmsprop-centre-added", "the squared mean is added, not taken off")
class _CentreAdded(optimizers.RMSprop):
    def quotient(self, g: Scaled, state: Averages) -> Tensor:
        if not self.centered:
            return super().quotient(g, state)
        twice = state.v + square(state.mean) + square(state.mean)
        return super().quotient(g, state._replace(v=twice))


@rival("rmsprop-centre-lost", "the squared mean is not taken off")
class _CentreLost(optimizers.RMSprop):
    def quotient(self, g: Scaled, state: Averages) -> Tensor:
        kept = state.v + square(state.mean) if self.centered else state.v
        return super().quotient(g, state._replace(v=kept))


@rival("rmsprop-alpha-swapped", "alpha is the share of the new square")
class _AlphaSwapped(optimizers.RMSprop):
    def averages(self, g: Scaled, state: Averages) -> Averages:
        a = 1 - self.alpha
        new = a * (1 - a) * square(g - state.mean) if self.centered else (1 - a) * square(g)
        return Averages(a * state.v + new, a * state.mean + (1 - a) * g, state.b)


@rival("rmsprop-momentum-damped", "the momentum is an average")
class _Damped(optimizers.RMSprop):
    def step(self, oracle: Oracle, w: Tensor, state: Averages, t: int) -> tuple[Tensor, Any]:
        g = scaled(oracle.grad(w))
        new = self.averages(g, state)
        b = self.momentum * new.b + (1 - self.momentum) * scaled(self.quotient(g, new))
        return w - self.step_size.at(t) * b.tensor(), new._replace(b=b)
