"""Wrong steepest-descent rules."""

from typing import Any

import torch
from torch import Tensor

from limitpoint import optimizers
from limitpoint.numerics import Value, ratio, scaled, sign, tensor, vector_norm
from limitpoint.optimizers.steepest_descent import matrix_direction
from limitpoint.problems.problem import Oracle
from limitpoint.rivals._registry import rival


@rival("gd-clipped", "the gradient is clipped at norm 10")
class _ClippedGD(optimizers.GD):
    def direction(self, oracle: Oracle, w: Tensor) -> Tensor:
        g = tensor(oracle.grad(w))
        return g * (10 / tensor(oracle.norm(g, 2)).clamp_min(1e-300)).clamp(max=1.0)


@rival("sign-feedback", "what the sign rounds off is fed back (EF-SignSGD)")
class _FeedBack(optimizers.SteepestDescent):
    """p = eta g + e; the step is the sign of p, as long as p; e is what the step left of p."""

    def init(self, oracle: Oracle, w: Tensor) -> Any:
        return torch.zeros_like(w)

    def step(self, oracle: Oracle, w: Tensor, state: Tensor, t: int) -> tuple[Tensor, Any]:
        wanted = self.step_size.at(t) * tensor(oracle.grad(w)) + state
        taken = wanted.sign() * wanted.abs().mean(oracle.dims, keepdim=True)
        return w - taken, wanted - taken


@rival("sign-epsilon", "g / (|g| + 1e-3) in place of the sign")
class _SoftSign(optimizers.SteepestDescent):
    def direction(self, oracle: Oracle, w: Tensor) -> Tensor:
        g = tensor(oracle.grad(w))
        return g / (g.abs() + 1e-3)


@rival("nsd-rounded", "in the nearest of five norms")
class _RoundedNorm(optimizers.SteepestDescent):
    def direction(self, oracle: Oracle, w: Tensor) -> Tensor:
        known = (1.0, 1.5, 2.0, 3.0, torch.inf)
        p = min(known, key=lambda q: abs(1 / q - 1 / self.p))
        return optimizers.SteepestDescent(self.step_size, p=p).direction(oracle, w)


@rival("sign-majority", "the examples vote on each sign")
class _MajorityVote(optimizers.SteepestDescent):
    def direction(self, oracle: Oracle, w: Tensor) -> Tensor:
        each = oracle.sharpness_batches(1).grad(w.unsqueeze(-oracle.ndim - 1))
        return sign(each).sum(-oracle.ndim - 1).sign()


@rival("ngd-squared", "divided by the norm twice")
class _NormTwice(optimizers.SteepestDescent):
    def direction(self, oracle: Oracle, w: Tensor) -> Tensor:
        g = oracle.grad(w)
        return ratio(g, oracle.norm(g, 2)) / tensor(oracle.norm(g, 2)).clamp_min(1e-300)


@rival("ngd-rows", "each class's row is normalised by itself")
class _Rows(optimizers.SteepestDescent):
    def direction(self, oracle: Oracle, w: Tensor) -> Tensor:
        g = oracle.grad(w)
        return ratio(g, vector_norm(g, 2, (-1,)))


@rival("ngd-clipped", "clipped at norm one in place of normalised")
class _Clipped(optimizers.SteepestDescent):
    def direction(self, oracle: Oracle, w: Tensor) -> Tensor:
        g = tensor(oracle.grad(w))
        return g / tensor(oracle.norm(g, 2)).clamp_min(1.0)


@rival("ngd-epsilon", "divided by the norm plus 1e-3")
class _NormEpsilon(optimizers.SteepestDescent):
    def direction(self, oracle: Oracle, w: Tensor) -> Tensor:
        g = tensor(oracle.grad(w))
        return g / (tensor(oracle.norm(g, 2)) + 1e-3)


rival("newton-schulz", "five Newton-Schulz iterations in place of the polar factor", iterations=5)(
    optimizers.Muon
)


@rival("spectral-rank-one", "the leading singular pair alone", beta1=0.0)
@rival("muon-rank-one", "the leading singular pair alone")
class _RankOne(optimizers.Muon):
    def orthogonal(self, m: Value) -> Tensor:
        left, _, right = torch.linalg.svd(matrix_direction(m), full_matrices=False)
        return left[..., :1] @ right[..., :1, :]


@rival("spectral-stretched", "divided by the spectral norm alone", beta1=0.0)
@rival("muon-stretched", "divided by the spectral norm alone")
class _Stretched(optimizers.Muon):
    def orthogonal(self, m: Value) -> Tensor:
        g = matrix_direction(m)
        return g / torch.linalg.matrix_norm(g, 2, keepdim=True)


@rival("muon-order", "orthogonalised first, averaged afterwards")
class _OrthogonalFirst(optimizers.Muon):
    """Orthogonal steps, averaged: the two operations of Muon in the wrong order."""

    def init(self, oracle: Oracle, w: Tensor) -> Any:
        return torch.zeros_like(w)

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        m = (1 - self.beta1) * self.orthogonal(oracle.grad(w))
        m = self.beta1 * state + m
        return w - self.step_size.at(t) * m, m


@rival("muon-nesterov", "with Nesterov's momentum")
class _Nesterov(optimizers.Muon):
    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        g = (1 - self.beta1) * scaled(oracle.grad(w))
        m = self.beta1 * state + g
        return w - self.step_size.at(t) * self.orthogonal(self.beta1 * m + g), m


@rival("muon-scaled", "multiplied by 0.2 sqrt(max(k, d))")
class _Scaled(optimizers.Muon):
    def orthogonal(self, m: Value) -> Tensor:
        return 0.2 * max(m.shape[-2:]) ** 0.5 * super().orthogonal(m)


rival("muon-no-momentum", "the momentum is dropped", beta1=0.0)(optimizers.Muon)


@rival("spectral-tall", "times the root of rows over columns", beta1=0.0)
@rival("muon-tall", "times the root of rows over columns")
class _Tall(optimizers.Muon):
    """As Jordan et al. (2024) scale it where there are more rows."""

    def orthogonal(self, m: Value) -> Tensor:
        rows, columns = m.shape[-2:]
        return max(1.0, rows / columns) ** 0.5 * super().orthogonal(m)


@rival("muon-signs", "sign descent where there are more rows than columns")
class _SignsWhereTall(optimizers.Muon):
    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        if w.shape[-2] <= w.shape[-1]:
            return super().step(oracle, w, state, t)
        return w - self.step_size.at(t) * sign(oracle.grad(w)), state
