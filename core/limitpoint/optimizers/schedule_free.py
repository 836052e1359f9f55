"""Schedule-free SGD: gradients between the last point and the average of all points."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from limitpoint.numerics import tensor
from limitpoint.optimizers.roles import role
from limitpoint.optimizers.rule import Rule, check_range
from limitpoint.problems.problem import Oracle


@role("schedule-free", "y = (1 - beta) z + beta w; z - eta g(y); w = the average of the z")
@dataclass(frozen=True, eq=False)
class ScheduleFree(Rule):
    """z' = z - eta grad L((1 - beta) z + beta w); w' = w + (z' - w) / (t + 2), z_0 = w_0.

    Defazio et al. 2024, (3)-(5); w is their x. Their classes hold y while they train.

    Args:
        momentum: beta in [0, 1], named as in the authors' class: 0 is Polyak and Ruppert's
            averaging, 1 primal averaging.
    """

    momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("momentum", self.momentum, 0.0, 1.0, open_high=False)

    def init(self, oracle: Oracle, w: Tensor) -> Tensor:
        """z_0 is the start."""
        return w.clone()

    def step(self, oracle: Oracle, w: Tensor, state: Tensor, t: int) -> tuple[Tensor, Any]:
        """One step."""
        beta = self.momentum
        y = (1 - beta) * state + beta * w
        z = state - tensor(self.step_size.at(t) * oracle.grad(y))
        return w + (z - w) / (t + 2), z
