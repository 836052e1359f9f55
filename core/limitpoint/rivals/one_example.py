"""Wrong sharpness-aware rules that a single example tells apart (minor_first)."""

import torch
from torch import Tensor

from limitpoint import optimizers
from limitpoint.numerics import ratio, tensor, vector_norm
from limitpoint.problems.problem import Oracle, Problem
from limitpoint.rivals._registry import rival


@rival("sam-l2-layerwise", "each layer's perturbation is normalised by itself")
class _Layerwise(optimizers.L2SAM):
    def ascent(self, oracle: Oracle, w: Tensor) -> Tensor:
        g = oracle.grad(w)
        return ratio(g, vector_norm(g, 2, (-1,)))


@rival("sam-linf-downhill", "the sign of the perturbation is wrong")
class _SignDownhill(optimizers.LinfSAM):
    def ascent(self, oracle: Oracle, w: Tensor) -> Tensor:
        return -super().ascent(oracle, w)


@rival("usam-gentle", "no normalisation, and a radius below 1 / (2 mu_d)")
class _GentleUSAM(optimizers.USAM):
    """rho mu_d = 0.4: the growth mu_j (1 - rho |l'| mu_j), |l'| <= 1, then rises with mu_j."""

    def perturbed(self, oracle: Oracle, w: Tensor) -> Tensor:
        rho: float | Tensor = self.rho
        if isinstance(oracle, Problem):
            rho = torch.minimum(torch.as_tensor(rho), 0.4 / oracle.X.abs().amax((-2, -1), True))
        return w + tensor(rho * self.ascent(oracle, w))
