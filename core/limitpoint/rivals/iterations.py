"""Wrong Newton-Schulz iterations."""

import torch
from torch import Tensor

from limitpoint import optimizers
from limitpoint.numerics import Value
from limitpoint.optimizers.steepest_descent import matrix_direction
from limitpoint.rivals._registry import rival

rival("muon", "the exact polar factor")(optimizers.Muon)
rival("newton-schulz-4", "four iterations in place of five", iterations=4)(optimizers.Muon)


@rival("newton-schulz-cubic", "the classical cubic: it has not come to one after five iterations")
class _Cubic(optimizers.Muon):
    def orthogonal(self, m: Value) -> Tensor:
        x = matrix_direction(m)
        x = x / torch.linalg.matrix_norm(x, keepdim=True)
        for _ in range(5):
            x = 1.5 * x - 0.5 * (x @ x.mT) @ x
        return x


@rival("newton-schulz-spectral", "divided by the spectral norm, and not Frobenius's, at the start")
class _Spectral(optimizers.Muon):
    def orthogonal(self, m: Value) -> Tensor:
        x = matrix_direction(m)
        x = x / torch.linalg.matrix_norm(x, 2, keepdim=True)
        for _ in range(5):
            gram = x @ x.mT
            x = 3.4445 * x + (-4.775 * gram + 2.0315 * gram @ gram) @ x
        return x
