"""Integrands: functions of the iterate that a run can sum along the way, by name.

`run(..., integrals={"loss": integrands.Loss(problem)})` sums eta_t L(w_t). Any function of w will
do for the torch engine; those here are known to the fused engine as well.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from limitpoint.problems.problem import Problem


@dataclass(frozen=True, eq=False)
class Loss:
    """L(w), shape (*batch).

    Args:
        problem: whose objective it is.
    """

    problem: Problem

    def __call__(self, w: Tensor) -> Tensor:
        """L(w)."""
        return self.problem.value(w)


@dataclass(frozen=True, eq=False)
class LogLoss(Loss):
    """log L(w), shape (*batch), exact where L itself is below float64's range."""

    def __call__(self, w: Tensor) -> Tensor:
        """Log L(w)."""
        return self.problem.log_value(w)
