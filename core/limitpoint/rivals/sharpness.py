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
from limitpoint.rivals._registry import rival


@rival("n-sam-step-tripled", "n-SAM with the outer step three times too long")
def _n_sam_step_tripled(step_size: Schedule, rho: Any, **settings: Any) -> Rule:
    return optimizers.NSAM(step_size.times(3), rho=rho)


@rival("one-batch", "one minibatch for ascent and descent, not one for each")
class _OneBatch(optimizers.NSAM):
    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        if isinstance(oracle, Sampled):
            oracle = Sampled(oracle.whole, oracle.batches[:1])
        return super().direction(oracle, w)


@rival("step-tenfold", "unnormalised SAM with the outer step ten times too long")
def _step_tenfold(step_size: Schedule, rho: Any, **settings: Any) -> Rule:
    return optimizers.USAM(step_size.times(10), rho=rho)


@rival("step-constant", "unnormalised SAM whose step and radius stay at their first values")
def _step_constant(step_size: Schedule, rho: Any, **settings: Any) -> Rule:
    return optimizers.USAM(StepSize(step_size.at(0)), rho=rho)


@rival("rho-negative", "the inner step goes downhill")
class _Descended(optimizers.USAM):
    def perturbed(self, oracle: Oracle, w: Tensor) -> Tensor:
        return w - tensor(self.rho * self.ascent(oracle, w))


@rival("1-sam-rho-negative", "the inner steps go downhill", batch_size=1)
class _EachDescended(optimizers.OneSAM):
    def perturbed(self, oracle: Oracle, w: Tensor) -> Tensor:
        return 2 * w.unsqueeze(-oracle.ndim - 1) - super().perturbed(oracle, w)


@rival("bracket-lost", "w - eta grad L(w) + rho grad L(w), as usam_report prints (3)")
class _BracketLost(SharpnessAware):
    def ascent(self, oracle: Oracle, w: Tensor) -> Value:
        return oracle.grad(w)

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        g = tensor(oracle.grad(w))
        return w - self.step_size.at(t) * g + self.rho * g, None

    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        eta = torch.as_tensor(self.step_size.at(0))
        return (1 - self.rho / eta) * tensor(oracle.grad(w))


@rival("usam-two-sided", "g plus half the difference of the gradients uphill and downhill")
class _TwoSided(optimizers.USAM):
    """USAM to first order in rho, and all of it on a quadratic."""

    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        uphill = self.perturbed(oracle, w)
        there, back = (tensor(oracle.grad(point)) for point in (uphill, 2 * w - uphill))
        return tensor(oracle.grad(w)) + (there - back) / 2


@rival("usam-trapezoid", "the mean of the gradients here and twice as far uphill")
class _Trapezoid(optimizers.USAM):
    """Likewise."""

    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        far = 2 * self.perturbed(oracle, w) - w
        return (tensor(oracle.grad(w)) + tensor(oracle.grad(far))) / 2


@rival("ascent-random", "ascent along a fixed random direction, as long as the gradient")
class _RandomAscent(SharpnessAware):
    def ascent(self, oracle: Oracle, w: Tensor) -> Tensor:
        noise = torch.randn(w.shape, generator=torch.Generator().manual_seed(0), dtype=w.dtype)
        scale = tensor(oracle.norm(oracle.grad(w)))
        return noise * scale / tensor(oracle.norm(noise))


@rival("ascent-unit-random", "ascent to a random point of the sphere of radius rho")
class _UnitRandomAscent(SharpnessAware):
    """A fresh direction each step."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "stream", torch.Generator().manual_seed(0))

    def ascent(self, oracle: Oracle, w: Tensor) -> Tensor:
        noise = torch.randn(w.shape, generator=self.stream, dtype=w.dtype)  # type: ignore[attr-defined]
        return noise / tensor(oracle.norm(noise))


@rival("ascent-sign", "ascent along sign(g), as long as the gradient")
class _SignAscentAsLong(SharpnessAware):
    def ascent(self, oracle: Oracle, w: Tensor) -> Tensor:
        g = oracle.grad(w)
        return sign(g) * tensor(oracle.norm(g, 2))


@rival("batches-swapped", "ascent on the neighbour's example", batch_size=1)
class _NeighboursBatch(optimizers.OneSAM):
    """The ascent of the next example, the descent of this one."""

    def perturbed(self, oracle: Oracle, w: Tensor) -> Tensor:
        return super().perturbed(oracle, w).roll(1, dims=-oracle.ndim - 1)


@rival("usam-decayed", "weight decay of 1e-3 in the gradient")
class _Decayed(optimizers.USAM):
    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        return tensor(super().direction(oracle, w)) + 1e-3 * w


@rival("1-sam-normalised", "each perturbation is normalised", batch_size=1)
class _Normalised(optimizers.OneSAM):
    def perturbed(self, oracle: Oracle, w: Tensor) -> Tensor:
        moves = super().perturbed(oracle, w) - w.unsqueeze(-oracle.ndim - 1)
        return w.unsqueeze(-oracle.ndim - 1) + self.rho * ratio(moves, oracle.norm(moves))


@rival("1-sam-descends-on-all", "descent on all examples from each example's point", batch_size=1)
class _DescendsOnAll(optimizers.OneSAM):
    """Each example moves the point; the gradient there is that of all examples."""

    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        points = self.perturbed(oracle, w).movedim(-oracle.ndim - 1, 0)
        return torch.stack([tensor(oracle.grad(point)) for point in points]).mean(0)


@rival("sign-outside", "the sign is taken of the descent and not of the ascent")
class _SignOutside(optimizers.LinfSAM):
    def perturbed(self, oracle: Oracle, w: Tensor) -> Tensor:
        return w + tensor(self.rho * oracle.grad(w))

    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        return sign(super().direction(oracle, w))


@rival("asam", "the perturbation is measured in the weights' own scale (ASAM)")
class _Adaptive(optimizers.L2SAM):
    """w^2 g / ||w g||_2 (Kwon et al. 2021)."""

    def ascent(self, oracle: Oracle, w: Tensor) -> Tensor:
        g = tensor(oracle.grad(w))
        return ratio(w * w * g, oracle.norm(w * g, 2))
