"""Wrong steepest-descent rules."""

from torch import Tensor

from limitpoint import optimizers
from limitpoint.problem import Oracle
from limitpoint.rivals._registry import plain


class _Ascent(optimizers.SteepestDescent):
    def direction(self, oracle: Oracle, w: Tensor) -> Tensor:
        return -super().direction(oracle, w)


plain("ascent", "the sign of the step is wrong", _Ascent)
