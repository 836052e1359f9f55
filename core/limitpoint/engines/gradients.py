"""Gradients one at a time, by the compiled kernels: for steps that no engine can compile."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limitpoint.engines.run import is_large
from limitpoint.numerics import Scaled, scaled
from limitpoint.optimizers import Rule
from limitpoint.problems.problem import Oracle, Problem

Floats = NDArray[np.float64]
LN2 = float(np.log(2))
#: Beyond every exponent of float64, subnormal numbers included.
FAR = 3000


@dataclass(frozen=True, eq=False)
class _Answer(Rule):
    """Stays where it is, and keeps the gradient."""

    is_scaled: bool = False

    def init(self, oracle: Oracle, w: Tensor) -> Any:
        zeros = torch.zeros_like(w)
        return scaled(zeros) if self.is_scaled else zeros

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        return w, oracle.grad(w)


class Gradients:
    """The gradients of a problem at points of one shape.

    Args:
        problem: the problem.
        start: such a point, (*batch, *parameter), float64.

    Raises:
        limitpoint.engines.cpu.NotCovered: there is no compiled form.
    """

    def __init__(self, problem: Problem, start: Tensor) -> None:
        from limitpoint.engines import cpu

        with torch.no_grad():
            is_scaled = isinstance(problem.grad(start), Scaled)
            plan = cpu.plan(problem, _Answer(is_scaled=is_scaled), start, {})
        self._run = cpu.Run(plan, np.array([1]))
        self._given, self._scratch = self._run.given(0, 1), self._run.scratch()
        self._shape, self._d, self._count = start.shape, plan.d, plan.count

    def at(self, w: Tensor) -> tuple[Floats, Floats]:
        """The gradient at w as mantissa * 2^exponent, both of the shape of w."""
        run = self._run
        run.w[..., : self._d] = w.detach().numpy().reshape(*run.w.shape[:-1], self._d)
        run.part(self._given, 0, 1, 0, self._count, self._scratch)
        mantissa, exponent = (m[:, 0, :, : self._d] for m in (run.memory, run.memory_exponent))
        return mantissa.reshape(self._shape), exponent.reshape(self._shape)


def times_exp(mantissa: Floats, exponent: Floats, log_factor: float | Floats) -> Floats:
    """mantissa * 2^exponent * e^log_factor; 0 or infinite only where that is."""
    k = np.rint(log_factor / LN2)
    with np.errstate(all="ignore"):
        whole = np.maximum(np.minimum(exponent + k, FAR), -FAR).astype(np.int32)
        return np.ldexp(mantissa * np.exp(log_factor - k * LN2), whole)


@lru_cache(maxsize=32)
def compiled(oracle: Oracle, shape: torch.Size) -> Gradients | None:
    """The compiled gradients of an oracle, or None where there are none or torch is ahead.

    Args:
        oracle: the problem.
        shape: of w.
    """
    if type(oracle) is not Problem or is_large(oracle):
        return None
    from limitpoint.engines import cpu

    try:
        found = Gradients(oracle, oracle.start.new_zeros(shape))
        found.at(oracle.start.new_zeros(shape))  # loaded by its first call
        return found
    except cpu.NotCovered:
        return None
