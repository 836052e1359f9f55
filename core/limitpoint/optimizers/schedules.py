"""Schedules: a step size, or a radius, at each step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor

Number = float | Tensor


class Schedule(ABC):
    """A number at each step t = 0, 1, ...; a tensor broadcasts over a batch of problems."""

    @abstractmethod
    def at(self, t: int) -> Number:
        """The number at step t."""

    @property
    def is_constant(self) -> bool:
        """Whether it is the same at each step."""
        return False

    def table(self, begin: int, end: int) -> Tensor:
        """The numbers of the steps begin..end, shape (end - begin, *shape of one)."""
        numbers = [torch.as_tensor(self.at(t), dtype=torch.float64) for t in range(begin, end)]
        return torch.stack(numbers)

    def times(self, factor: Number) -> Schedule:
        """The schedule that is so many times as large at each step."""
        return Multiple(self, factor)

    def starting_at(self, first: Number) -> Schedule:
        """The schedule of the same form that is so large at step 0."""
        return self.times(first / self.at(0))


@dataclass(frozen=True)
class Multiple(Schedule):
    """A schedule times a factor.

    Args:
        of: the schedule.
        factor: > 0.
    """

    of: Schedule
    factor: Number

    def at(self, t: int) -> Number:
        """The factor times the schedule's number."""
        return self.factor * self.of.at(t)

    @property
    def is_constant(self) -> bool:
        """As the schedule is."""
        return self.of.is_constant


@dataclass(frozen=True)
class _FromFirst(Schedule):
    """A schedule that its number at step 0 scales.

    Args:
        initial: that number, > 0.
    """

    initial: Number

    def __post_init__(self) -> None:
        if not bool((torch.as_tensor(self.initial) > 0).all()):
            raise ValueError(f"step size {self.initial}: must be > 0")

    def times(self, factor: Number) -> Self:
        """The same with another initial number."""
        return replace(self, initial=factor * self.initial)

    def starting_at(self, first: Number) -> Self:
        """The same with another initial number."""
        return replace(self, initial=first)


@dataclass(frozen=True)
class StepSize(_FromFirst):
    """eta_t = initial / (t + 1)^decay (signgd_adam, Sec. 3: Assumptions 3.3 and 3.4 hold).

    Args:
        initial: eta_0 > 0; a tensor broadcasts over the batch and keeps the parameter's dimensions.
        decay: a >= 0; 0 is a constant step.
    """

    decay: Number = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not bool((torch.as_tensor(self.decay) >= 0).all()):
            raise ValueError(f"step-size decay {self.decay}: must be >= 0")

    @property
    def is_constant(self) -> bool:
        """Whether nothing decays."""
        return not bool(torch.as_tensor(self.decay).any())

    def at(self, t: int) -> Number:
        """eta_t."""
        if isinstance(self.decay, float) and self.decay == 0.0:
            return self.initial
        return self.initial * (t + 1) ** -self.decay

    def table(self, begin: int, end: int) -> Tensor:
        """The numbers of the steps begin..end, all at once."""
        initial, decay = (
            torch.as_tensor(x, dtype=torch.float64) for x in (self.initial, self.decay)
        )
        ones = (1,) * max(initial.ndim, decay.ndim)
        t = torch.arange(begin, end, dtype=torch.float64).reshape(-1, *ones)
        return initial * (t + 1) ** -decay


@dataclass(frozen=True)
class LinearStep(_FromFirst):
    """initial * (1 - t / total): falls linearly, to zero after `total` steps.

    Args:
        initial: eta_0 > 0.
        total: how many steps.
    """

    total: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.total < 1:
            raise ValueError(f"a total of {self.total} steps: must be >= 1")

    def at(self, t: int) -> Number:
        """eta_t."""
        return self.initial * max(0.0, 1 - t / self.total)


@dataclass(frozen=True)
class PiecewiseStep(_FromFirst):
    """A tenth of initial from half of the steps on, a hundredth from three quarters on.

    Args:
        initial: eta_0 > 0.
        total: how many steps.

    Source: understanding_sam, App. D.
    """

    total: int = 1

    def at(self, t: int) -> Number:
        """eta_t."""
        tenths = (2 * t >= self.total) + (4 * t >= 3 * self.total)
        return self.initial * 0.1**tenths


@dataclass(frozen=True)
class PolyakLojasiewiczStep(Schedule):
    """min(initial, (8t + 4) / (3 mu (t + 1)^2)), of order 1/t (understanding_sam, Theorem 2).

    Args:
        initial: the cap, 1 / (2 beta) in the paper.
        pl: mu > 0.
    """

    initial: float
    pl: float = 1.0

    def at(self, t: int) -> float:
        """gamma_t."""
        return min(self.initial, (8 * t + 4) / (3 * self.pl * (t + 1) ** 2))


@dataclass(frozen=True)
class RootRadius(Schedule):
    """rho_t = sqrt(gamma_t / beta), the radius that goes with a step size (Theorem 2).

    Args:
        gamma: the step size.
        beta: smoothness.
    """

    gamma: Schedule = field(default_factory=lambda: StepSize(1.0))
    beta: float = 1.0

    def at(self, t: int) -> Number:
        """rho_t."""
        return (self.gamma.at(t) / self.beta) ** 0.5


def as_schedule(step_size: Schedule | Number) -> Schedule:
    """A number is a constant step."""
    return step_size if isinstance(step_size, Schedule) else StepSize(step_size)
