"""Gradient descent."""

from dataclasses import dataclass

from torch import Tensor

from limitpoint.numerics import Value
from limitpoint.optimizers.roles import role
from limitpoint.optimizers.rule import Memoryless
from limitpoint.problems.problem import Oracle


@role("optimizer", "any class of torch's kind: what it owes its user, whatever its rule is")
@role("gd", "w - eta g, g = grad L(w)")
@dataclass(frozen=True, eq=False)
class GD(Memoryless):
    """w <- w - eta grad L(w) (usam_report (2))."""

    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        """The gradient."""
        return oracle.grad(w)
