"""The schedules that an optimizer is run on, and the objective that each of them shows it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limitpoint.engines.directions import Directions, compiled
from limitpoint.numerics import Value, exp, scaled
from limitpoint.optimizers.schedules import Number, Schedule
from limitpoint.problems.problem import Oracle, Problem

Floats = NDArray[np.float64]

DELAY = 10.0


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

    def step_size(self, initial: float, t: int) -> float:
        """eta_t of the schedule that starts at a step size."""
        return initial * (1 + t / self.delay) ** -self.decay

    def factor(self, t: int) -> float:
        """What the gradient is multiplied by at step t."""
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


@dataclass(frozen=True)
class StepSizes(Schedule):
    """Those of several courses, (courses, 1, 1, 1), or a number.

    Args:
        courses: at least one.
        initial: eta_0 > 0.
    """

    courses: tuple[Course, ...]
    initial: float

    @property
    def is_constant(self) -> bool:
        """Whether nothing decays."""
        return not any(course.decay for course in self.courses)

    def at(self, t: int) -> Number:
        """eta_t."""
        sizes = [course.step_size(self.initial, t) for course in self.courses]
        if len(sizes) == 1:
            return sizes[0]
        return torch.tensor(sizes, dtype=torch.float64).reshape(-1, 1, 1, 1)

    def starting_at(self, first: Number) -> StepSizes:
        """The same courses from another step size."""
        return replace(self, initial=float(first))


@dataclass(frozen=True, eq=False)
class Seen(Oracle):
    """What step t of several courses sees of the problems: c L, or c log L.

    The gradient of that, c grad L / L, is never far from c: it is divided in the logarithms, so
    that nothing underflows.

    Args:
        problem: classification, a batch (problems, k, d).
        courses: at least one; w is (courses, problems, k, d).
        t: the step.
    """

    problem: Problem
    courses: tuple[Course, ...]
    t: int = 0

    @property
    def ndim(self) -> int:
        """Trailing dimensions of one parameter."""
        return self.problem.ndim

    @property
    def start(self) -> Tensor:
        """The problems' own, for each course."""
        return self.problem.start.expand(len(self.courses), *self.problem.start.shape).clone()

    def value(self, w: Tensor) -> Tensor:
        """The objectives, (courses, problems)."""
        return torch.stack([
            course.factor(self.t) * (self.problem.log_value(own) if course.per_loss
                                     else self.problem.value(own))
            for course, own in zip(self.courses, w, strict=True)
        ])  # fmt: skip

    def grad(self, w: Tensor) -> Value:
        """Gradients, the shape of w."""
        factors = torch.from_numpy(self._log_factors(self.problem.log_value(w).numpy()))
        return self.problem.grad(w) * exp(factors.reshape(*w.shape[: -self.ndim], 1, 1))

    @property
    def kernels(self) -> Seen | None:
        """Itself, if the problem's gradients are compiled."""
        return None if self._compiled(self.start) is None else self

    def at(self, w: Tensor) -> tuple[Floats, Floats]:
        """See `Kernels`."""
        g = scaled(self.grad(w))
        return g.mantissa.numpy(), g.exponent.numpy()

    def hand(self, w: Tensor, out: Floats) -> tuple[float, float]:
        """See `Kernels`."""
        kernels = self._compiled(w)
        assert kernels is not None
        kernels.go(w)
        return kernels.out(self._log_factors(kernels.integrals), out)

    def _compiled(self, w: Tensor) -> Directions | None:
        return compiled(self.problem, w.shape, with_log_loss=True)

    def _log_factors(self, log_loss: Floats) -> Floats:
        """Of what the problems' gradients are multiplied by, one a course and problem."""
        found = log_loss.reshape(len(self.courses), -1).copy()
        for course, own in zip(self.courses, found, strict=True):
            own[:] = np.log(course.factor(self.t)) - own if course.per_loss else 0.0
        return found.reshape(-1)
