"""Wrong Adagrads and AMSGrads: what is summed, what is kept, and when."""

from typing import Any

from torch import Tensor

from limitpoint import optimizers
from limitpoint.numerics import Scaled, maximum, ratio, scaled, sqrt, square, total
from limitpoint.optimizers import Moments
from limitpoint.problems.problem import Oracle
from limitpoint.rivals._registry import rival

rival("adagrad-epsilon", "an epsilon of 1e-2", epsilon=0.01)(optimizers.Adagrad)


@rival("adagrad-forgets", "the squares are averaged, not summed (RMSprop)")
class _Forgets(optimizers.Adagrad):
    def step(self, oracle: Oracle, w: Tensor, state: Scaled, t: int) -> tuple[Tensor, Any]:
        g = scaled(oracle.grad(w))
        v = 0.99 * state + 0.01 * square(g)
        return w - self.step_size.at(t) * ratio(g, sqrt(v)), v


@rival("adagrad-root-lost", "divided by the sum instead of its root")
class _RootLost(optimizers.Adagrad):
    def step(self, oracle: Oracle, w: Tensor, state: Scaled, t: int) -> tuple[Tensor, Any]:
        g = scaled(oracle.grad(w))
        added = state + square(g)
        return w - self.step_size.at(t) * ratio(g, added), added


@rival("adagrad-late", "today's square is not yet in the sum")
class _Late(optimizers.Adagrad):
    """The first step, which has no sum, is along the sign."""

    def step(self, oracle: Oracle, w: Tensor, state: Scaled, t: int) -> tuple[Tensor, Any]:
        g = scaled(oracle.grad(w))
        added = state + square(g)
        return w - self.step_size.at(t) * ratio(g, sqrt(added if t == 0 else state)), added


@rival("adagrad-shared", "one sum for all entries (the norm's Adagrad)")
class _Shared(optimizers.Adagrad):
    def step(self, oracle: Oracle, w: Tensor, state: Scaled, t: int) -> tuple[Tensor, Any]:
        g = scaled(oracle.grad(w))
        added = state + square(g)
        return w - self.step_size.at(t) * ratio(g, sqrt(total(added, -1, keepdim=True))), added


@rival("amsgrad-forgets", "the largest second moment is not kept from step to step")
class _PeakForgotten(optimizers.AMSGrad):
    """As a fused path that updates a copy of the maximum does."""

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        return optimizers.Adam.step(self, oracle, w, Moments(state.m, state.v), t)[0], (
            super().step(oracle, w, state, t)[1]
        )


@rival("amsgrad-of-squares", "the largest square so far in place of the largest average")
class _PeakSquare(optimizers.AMSGrad):
    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        g = scaled(oracle.grad(w))
        new = self.moments(g, Moments(state.m, state.v))
        peak = maximum(state.peak, square(g))
        moved = w - self.step_size.at(t) * self.ratio(Moments(new.m, peak), t)
        return moved, type(state)(new.m, new.v, peak)


@rival("amsgrad-late", "today's second moment is not yet among those compared")
class _PeakLate(optimizers.AMSGrad):
    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        moved, new = super().step(oracle, w, state, t)
        if t == 0:
            return moved, new
        late = Moments(new.m, maximum(state.peak, state.v))
        return w - self.step_size.at(t) * self.ratio(late, t), new
