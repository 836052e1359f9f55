"""Step-size schedules: eta_t = eta_0 / (t + 1)^a."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class StepSize:
    """eta_t = initial / (t + 1)^decay (signgd_adam, Sec. 3: Assumptions 3.3 and 3.4 hold).

    Args:
        initial: eta_0 > 0; a tensor broadcasts over the batch and keeps the parameter's dimensions.
        decay: a >= 0; 0 is a constant step.
    """

    initial: float | Tensor
    decay: float | Tensor = 0.0

    def __post_init__(self) -> None:
        if not bool((torch.as_tensor(self.initial) > 0).all()):
            raise ValueError(f"step size {self.initial}: must be > 0")
        if not bool((torch.as_tensor(self.decay) >= 0).all()):
            raise ValueError(f"step-size decay {self.decay}: must be >= 0")

    def at(self, t: int) -> float | Tensor:
        """eta_t."""
        if isinstance(self.decay, float) and self.decay == 0.0:
            return self.initial
        return self.initial * (t + 1) ** -self.decay


@dataclass(frozen=True)
class LinearStep(StepSize):
    """initial * (1 - t / total): falls linearly, to zero after `total` steps.

    Args:
        initial: eta_0 > 0.
        total: how many steps.
    """

    decay: float | Tensor = 1.0
    total: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.total < 1:
            raise ValueError(f"a total of {self.total} steps: must be >= 1")

    def at(self, t: int) -> float | Tensor:
        """eta_t."""
        return self.initial * max(0.0, 1 - t / self.total)


@dataclass(frozen=True)
class PolyakLojasiewiczStep(StepSize):
    """min(initial, (8t + 4) / (3 mu (t + 1)^2)), of order 1/t (understanding_sam, Theorem 2).

    Args:
        initial: the cap, 1 / (2 beta) in the paper.
        pl: mu > 0.
    """

    decay: float | Tensor = 1.0
    pl: float = 1.0

    def at(self, t: int) -> float | Tensor:
        """gamma_t."""
        return min(self.initial, (8 * t + 4) / (3 * self.pl * (t + 1) ** 2))


@dataclass(frozen=True)
class RootRadius(StepSize):
    """rho_t = sqrt(gamma_t / beta), the radius that goes with a step size (Theorem 2).

    Args:
        initial: rho_0; follows from the step size.
        gamma: the step size.
        beta: smoothness.
    """

    initial: float | Tensor = 1.0
    decay: float | Tensor = 0.5
    gamma: StepSize = field(default_factory=lambda: StepSize(1.0))
    beta: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "initial", self.at(0))
        super().__post_init__()

    def at(self, t: int) -> float | Tensor:
        """rho_t."""
        return (self.gamma.at(t) / self.beta) ** 0.5


def as_step_size(step_size: StepSize | float | Tensor) -> StepSize:
    """A number is a constant step."""
    return step_size if isinstance(step_size, StepSize) else StepSize(step_size)
