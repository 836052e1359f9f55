"""Wrong sharpness-aware rules."""

from typing import Any

import torch
from torch import Tensor

from limitpoint import optimizers
from limitpoint.numerics import Value, ratio, sign, tensor
from limitpoint.optimizers import Rule, SharpnessAware
from limitpoint.optimizers.schedules import Schedule, StepSize
from limitpoint.problems.finite_sum import Sampled
from limitpoint.problems.problem import Oracle
from limitpoint.rivals._registry import plain, rival


@rival("n-sam-step-tripled", "n-SAM with the outer step three times too long", "n-sam m-sam")
def _n_sam_step_tripled(step_size: Schedule, rho: Any, **settings: Any) -> Rule:
    return optimizers.NSAM(step_size.times(3), rho=rho)


class _OneBatch(optimizers.NSAM):
    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        if isinstance(oracle, Sampled):
            oracle = Sampled(oracle.whole, oracle.batches[:1])
        return super().direction(oracle, w)


plain("one-batch", "one minibatch for ascent and descent, not one for each", "n-sam", _OneBatch)


@rival("step-tenfold", "unnormalised SAM with the outer step ten times too long", "n-sam m-sam")
def _step_tenfold(step_size: Schedule, rho: Any, **settings: Any) -> Rule:
    return optimizers.USAM(step_size.times(10), rho=rho)


@rival(
    "step-constant",
    "unnormalised SAM whose step and radius stay at their first values",
    "n-sam m-sam",
)
def _step_constant(step_size: Schedule, rho: Any, **settings: Any) -> Rule:
    return optimizers.USAM(StepSize(step_size.at(0)), rho=rho)


class _Descended(optimizers.USAM):
    def perturbed(self, oracle: Oracle, w: Tensor) -> Tensor:
        return w - tensor(self.rho * self.ascent(oracle, w))


class _EachDescended(optimizers.OneSAM):
    def perturbed(self, oracle: Oracle, w: Tensor) -> Tensor:
        return 2 * w.unsqueeze(-oracle.ndim - 1) - super().perturbed(oracle, w)


plain("rho-negative", "the inner step goes downhill", "usam n-sam m-sam", _Descended)
plain("1-sam-rho-negative", "the inner steps go downhill", "1-sam", _EachDescended, batch_size=1)


class _BracketLost(SharpnessAware):
    def ascent(self, oracle: Oracle, w: Tensor) -> Value:
        return oracle.grad(w)

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        g = tensor(oracle.grad(w))
        return w - self.step_size.at(t) * g + self.rho * g, None

    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        eta = torch.as_tensor(self.step_size.at(0))
        return (1 - self.rho / eta) * tensor(oracle.grad(w))


plain(
    "bracket-lost",
    "w - eta grad L(w) + rho grad L(w), as usam_report prints (3)",
    "gd usam",
    _BracketLost,
)


class _RandomAscent(SharpnessAware):
    def ascent(self, oracle: Oracle, w: Tensor) -> Tensor:
        noise = torch.randn(w.shape, generator=torch.Generator().manual_seed(0), dtype=w.dtype)
        scale = tensor(oracle.norm(oracle.grad(w)))
        return noise * scale / tensor(oracle.norm(noise))


plain(
    "ascent-random",
    "ascent along a fixed random direction, as long as the gradient",
    "usam n-sam",
    _RandomAscent,
)


class _UnitRandomAscent(SharpnessAware):
    """A fresh direction each step."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "stream", torch.Generator().manual_seed(0))

    def ascent(self, oracle: Oracle, w: Tensor) -> Tensor:
        noise = torch.randn(w.shape, generator=self.stream, dtype=w.dtype)  # type: ignore[attr-defined]
        return noise / tensor(oracle.norm(noise))


plain(
    "ascent-unit-random",
    "ascent to a random point of the sphere of radius rho",
    "m-sam sam-l2",
    _UnitRandomAscent,
)


class _SignAscentAsLong(SharpnessAware):
    def ascent(self, oracle: Oracle, w: Tensor) -> Tensor:
        g = oracle.grad(w)
        return sign(g) * tensor(oracle.norm(g, 2))


plain("ascent-sign", "ascent along sign(g), as long as the gradient", "usam", _SignAscentAsLong)


class _NeighboursBatch(optimizers.OneSAM):
    """The ascent of the next example, the descent of this one."""

    def perturbed(self, oracle: Oracle, w: Tensor) -> Tensor:
        return super().perturbed(oracle, w).roll(1, dims=-oracle.ndim - 1)


plain(
    "batches-swapped", "ascent on the neighbour's example", "1-sam", _NeighboursBatch, batch_size=1
)


class _Decayed(optimizers.USAM):
    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        return tensor(super().direction(oracle, w)) + 1e-3 * w


plain("usam-decayed", "weight decay of 1e-3 in the gradient", "usam", _Decayed)


class _Normalised(optimizers.OneSAM):
    def perturbed(self, oracle: Oracle, w: Tensor) -> Tensor:
        moves = super().perturbed(oracle, w) - w.unsqueeze(-oracle.ndim - 1)
        return w.unsqueeze(-oracle.ndim - 1) + self.rho * ratio(moves, oracle.norm(moves))


class _DescendsOnAll(optimizers.OneSAM):
    """Each example moves the point; the gradient there is that of all examples."""

    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        points = self.perturbed(oracle, w).movedim(-oracle.ndim - 1, 0)
        return torch.stack([tensor(oracle.grad(point)) for point in points]).mean(0)


plain("1-sam-normalised", "each perturbation is normalised", "1-sam", _Normalised, batch_size=1)
plain("1-sam-descends-on-all", "descent on all examples from each example's point", "1-sam",
      _DescendsOnAll, batch_size=1)  # fmt: skip


class _SignOutside(optimizers.LinfSAM):
    def perturbed(self, oracle: Oracle, w: Tensor) -> Tensor:
        return w + tensor(self.rho * oracle.grad(w))

    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        return sign(super().direction(oracle, w))


plain(
    "sign-outside",
    "the sign is taken of the descent and not of the ascent",
    "sam-linf",
    _SignOutside,
)
