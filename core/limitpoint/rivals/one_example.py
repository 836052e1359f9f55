"""Wrong sharpness-aware rules that a single example tells apart (minor_first)."""

import torch
from torch import Tensor

from limitpoint import optimizers
from limitpoint.numerics import ratio, tensor, vector_norm
from limitpoint.problems.problem import Oracle, Problem
from limitpoint.rivals._registry import plain


class _Layerwise(optimizers.L2SAM):
    def ascent(self, oracle: Oracle, w: Tensor) -> Tensor:
        g = oracle.grad(w)
        return ratio(g, vector_norm(g, 2, (-1,)))


plain("sam-l2-layerwise", "each layer's perturbation is normalised by itself", "sam-l2", _Layerwise)


class _SignDownhill(optimizers.LinfSAM):
    def ascent(self, oracle: Oracle, w: Tensor) -> Tensor:
        return -super().ascent(oracle, w)


plain("sam-linf-downhill", "the sign of the perturbation is wrong", "sam-linf", _SignDownhill)


class _GentleUSAM(optimizers.USAM):
    """rho mu_d = 0.4: the growth mu_j (1 - rho |l'| mu_j), |l'| <= 1, then rises with mu_j."""

    def perturbed(self, oracle: Oracle, w: Tensor) -> Tensor:
        rho: float | Tensor = self.rho
        if isinstance(oracle, Problem):
            rho = torch.minimum(torch.as_tensor(rho), 0.4 / oracle.X.abs().amax((-2, -1), True))
        return w + tensor(rho * self.ascent(oracle, w))


plain("usam-gentle", "no normalisation, and a radius below 1 / (2 mu_d)", "sam-l2", _GentleUSAM)
