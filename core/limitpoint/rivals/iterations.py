"""Wrong Newton-Schulz iterations, and wrong decays of Muon."""

from typing import Any

import torch
from torch import Tensor

from limitpoint import optimizers
from limitpoint.numerics import Scaled, Value, scaled, tensor
from limitpoint.optimizers.steepest_descent import matrix_direction
from limitpoint.problems.problem import Oracle
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


rival("muon-decay-lost", "the weight decay is ignored", weight_decay=0.0)(optimizers.Muon)


@rival("muon-decay-coupled", "the decay is added to the gradient, under the polar factor")
class _Coupled(optimizers.Muon):
    def step(self, oracle: Oracle, w: Tensor, state: Scaled, t: int) -> tuple[Tensor, Any]:
        g = scaled(tensor(oracle.grad(w)) + self.weight_decay * w)
        m = self.beta1 * state + (1 - self.beta1) * g
        return w - self.step_size.at(t) * self.orthogonal(m), m
