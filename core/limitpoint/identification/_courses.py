"""The schedules that an optimizer is run on, and the objective that each of them shows it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from limitpoint.engines.directions import compiled, times_exp
from limitpoint.numerics import exp, tensor
from limitpoint.optimizers.schedules import StepSize
from limitpoint.problems.problem import Oracle, Problem

DELAY = 10.0


@dataclass(frozen=True)
class DelayedStep(StepSize):
    """initial / (1 + t / delay)^decay.

    Args:
        initial: eta_0 > 0.
        decay: a >= 0.
        delay: steps before the decay sets in, > 0.
    """

    delay: float = DELAY

    def at(self, t: int) -> float | Tensor:
        """eta_t."""
        return self.initial * (1 + t / self.delay) ** -self.decay


@dataclass(frozen=True)
class Course:
    """A step-size schedule, on the loss or on its logarithm.

    Args:
        name: what the answer calls it.
        about: in words.
        decay: a of lr / (1 + t / delay)^a.
        delay: in steps.
        per_loss: the gradient is divided by the loss: the objective is log L.
        fading: b; that gradient is multiplied by (1 + t / 10)^-b.
    """

    name: str
    about: str
    decay: float = 0.0
    delay: float = 1.0
    per_loss: bool = False
    fading: float = 0.0

    def step_size(self, initial: float) -> DelayedStep:
        """The schedule that starts at a step size."""
        return DelayedStep(initial, self.decay, self.delay)

    def oracle(self, problem: Problem, t: int) -> Oracle:
        """What step t sees."""
        return LogLoss(problem, self.factor(t)) if self.per_loss else problem

    def factor(self, t: int) -> float:
        """What the gradient of log L is multiplied by at step t."""
        return float((1 + t / DELAY) ** -self.fading)


# Decaying steps, because theory asks for them (signgd_adam, Assumption 3.3): at a constant step a
# sign oscillates and a Newton-Schulz error adds up. On log L gradient descent needs no 1/L steps.
# In `fading` the squared gradients have a finite sum (2 * .55 > 1), so that what only adds them up,
# or keeps their maximum, stops following them, while any moving average still follows; and the sum
# of lr * gradient is infinite (.4 + .55 < 1), so that gradient descent still gets everywhere.
COURSES = (
    Course("constant", "lr, on the loss"),
    Course("decaying", "lr / sqrt(t + 1), on the loss", decay=0.5),
    Course(
        "per-loss",
        "lr / loss, falling like t^-0.5",
        decay=0.5,
        delay=DELAY,
        per_loss=True,
    ),
    Course(
        "fading",
        "lr / loss, falling like t^-0.4, with gradients that fade like t^-0.55",
        decay=0.4,
        delay=DELAY,
        per_loss=True,
        fading=0.55,
    ),
)


@dataclass(frozen=True, eq=False)
class LogLoss(Oracle):
    """factor * log L: its gradient, factor * grad L / L, is never far from one.

    Args:
        problem: classification.
        factor: > 0.
    """

    problem: Problem
    factor: float = 1.0

    @property
    def ndim(self) -> int:
        """Trailing dimensions of one parameter."""
        return self.problem.ndim

    def value(self, w: Tensor) -> Tensor:
        """factor * log L(w), shape (*batch)."""
        return self.factor * self.problem.log_value(w)

    def grad(self, w: Tensor) -> Tensor:
        """Gradient, the shape of w; divided in the logarithms, so that nothing underflows."""
        log_loss = self.problem.log_value(w).reshape(*w.shape[: -self.ndim], *(1,) * self.ndim)
        kernels = compiled(self.problem, w.shape)
        if kernels is None:
            return self.factor * tensor(self.problem.grad(w) * exp(-log_loss))
        return torch.from_numpy(self.factor * times_exp(*kernels.at(w), -log_loss.numpy()))
