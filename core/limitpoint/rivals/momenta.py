"""Wrong momenta: which buffer, damped or not, and where the step size goes."""

from typing import Any

import torch
from torch import Tensor

from limitpoint import optimizers
from limitpoint.numerics import Scaled, scaled, tensor
from limitpoint.problems.problem import Oracle
from limitpoint.rivals._registry import rival

rival("nesterov", "Nesterov's momentum .9")(optimizers.Nesterov)
rival("momentum-dropped", "the momentum is dropped", momentum=0.0)(optimizers.Momentum)


@rival("momentum-damped", "the gradient enters with 1 - mu (dampening)")
class _Damped(optimizers.Momentum):
    def step(self, oracle: Oracle, w: Tensor, state: Scaled, t: int) -> tuple[Tensor, Any]:
        g = (1 - self.momentum) * scaled(oracle.grad(w))
        buffer = self.momentum * state + g
        return w - tensor(self.step_size.at(t) * buffer), buffer


@rival("momentum-step-inside", "the step size is inside the buffer (Keras)")
class _StepInside(optimizers.Momentum):
    """The same as long as the step size does not change."""

    def init(self, oracle: Oracle, w: Tensor) -> Any:
        return torch.zeros_like(w)

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        velocity = self.momentum * state - self.step_size.at(t) * tensor(oracle.grad(w))
        return w + velocity, velocity


@rival("momentum-late", "the step is along the buffer of one step ago")
class _LateBuffer(optimizers.Momentum):
    def step(self, oracle: Oracle, w: Tensor, state: Scaled, t: int) -> tuple[Tensor, Any]:
        buffer = self.momentum * state + scaled(oracle.grad(w))
        return w - tensor(self.step_size.at(t) * state), buffer


@rival("nesterov-plain-gradient", "the gradient is added undamped, and the buffer unshortened")
class _Unshortened(optimizers.Nesterov):
    """g + b in place of g + mu b."""

    def step(self, oracle: Oracle, w: Tensor, state: Scaled, t: int) -> tuple[Tensor, Any]:
        g = scaled(oracle.grad(w))
        buffer = self.momentum * state + g
        return w - tensor(self.step_size.at(t) * (g + buffer)), buffer


@rival("nesterov-old-buffer", "the look-ahead is along the buffer of one step ago")
class _OldBuffer(optimizers.Nesterov):
    def step(self, oracle: Oracle, w: Tensor, state: Scaled, t: int) -> tuple[Tensor, Any]:
        g = scaled(oracle.grad(w))
        return (
            w - tensor(self.step_size.at(t) * (g + self.momentum * state)),
            self.momentum * state + g,
        )


@rival("nesterov-backwards", "the look-ahead has the wrong sign")
class _Backwards(optimizers.Nesterov):
    """b - mu (b - b before) in place of b + mu (b - b before)."""

    def step(self, oracle: Oracle, w: Tensor, state: Scaled, t: int) -> tuple[Tensor, Any]:
        g = scaled(oracle.grad(w))
        buffer = self.momentum * state + g
        return w - tensor(self.step_size.at(t) * ((2 - self.momentum) * buffer - g)), buffer
