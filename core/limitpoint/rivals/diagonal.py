"""Rules that treat a diagonal network as something else."""

from torch import Tensor

from limitpoint import optimizers
from limitpoint.numerics import Value
from limitpoint.problems.problem import Oracle
from limitpoint.rivals._registry import rival


@rival("linear-model", "gradient descent on the linear model in place of the network")
class _LinearModel(optimizers.GD):
    """The predictor moves as a linear model's: the layers' gradient over w_+^2 + w_-^2.

    beta' = 2 w_+ w_+' - 2 w_- w_-' = -2 X^T slope, and w_+ w_- is kept as gradient flow keeps it,
    so that only the geometry differs: the limit is the interpolator of least Euclidean norm.
    """

    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        return oracle.grad(w) / (w**2).sum(-2, keepdim=True)
