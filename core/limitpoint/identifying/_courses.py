"""The schedules that an optimizer is run on, and the objective that each of them shows it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from limitpoint.problem import Oracle, Problem
from limitpoint.scaled import Scaled

FADING, DELAY = 0.6, 10.0


@dataclass(frozen=True)
class Course:
    """A step-size schedule, on the loss or on its logarithm.

    Args:
        name: what the answer calls it.
        about: in words.
        decay: a of lr / (t + 1)^a.
        per_loss: the gradient is divided by the loss: the objective is log L.
        fading: b; that gradient is multiplied by (1 + t / 10)^-b.
    """

    name: str
    about: str
    decay: float = 0.0
    per_loss: bool = False
    fading: float = 0.0

    def oracle(self, problem: Problem, t: int) -> Oracle:
        """What step t sees."""
        if not self.per_loss:
            return problem
        return LogLoss(problem, (1 + t / DELAY) ** -self.fading)


COURSES = (
    Course("constant", "lr, on the loss"),
    Course("decaying", "lr / sqrt(t + 1), on the loss", decay=0.5),
    Course("per-loss", "lr / loss: on the log of the loss", per_loss=True),
    Course(
        "fading",
        "lr / loss, with gradients that fade like t^-0.6",
        per_loss=True,
        fading=FADING,
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
        g = self.problem.grad(w)
        log_loss = self.problem.log_value(w).reshape(*w.shape[: -self.ndim], *(1,) * self.ndim)
        if not isinstance(g, Scaled):
            return self.factor * g * torch.exp(-log_loss)
        return self.factor * Scaled(g.mantissa, g.log_scale - log_loss).tensor()
