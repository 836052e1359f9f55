"""Wrong training steps: SAM as deep networks are trained with it, each wrong in one way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from limitpoint.optimizers import DeepNSAM, DeepSAM, DeepSGD
from limitpoint.problems.problem import Oracle
from limitpoint.rivals._registry import rival

rival("deep-n-sam", "n-SAM, its ascent on another minibatch, passed off as m-SAM", m=None)(DeepNSAM)
rival("deep-m-ignored", "one perturbation for the whole minibatch", m=None)(DeepSAM)
rival("deep-no-ascent", "the ascent is left out")(DeepSGD)
rival("deep-no-momentum", "the momentum is left out", momentum=0.0)(DeepSAM)


@rival("deep-rho-doubled", "the radius is twice as long")
class _Doubled(DeepSAM):
    def at_maximisers(self, oracle: Oracle, w: Tensor, t: int, rho: float | Tensor) -> Tensor:
        return super().at_maximisers(oracle, w, t, 2 * rho)


@rival("deep-length", "normalised where it should not be, and not where it should")
class _OtherLength(DeepSAM):
    def at_maximisers(self, oracle: Oracle, w: Tensor, t: int, rho: float | Tensor) -> Tensor:
        other = replace(self, normalised=not self.normalised)
        return DeepSAM.at_maximisers(other, oracle, w, t, rho)


@rival("deep-old-point", "the second gradient is taken where the first one was")
class _OldPoint(DeepSAM):
    def at_maximisers(self, oracle: Oracle, w: Tensor, t: int, rho: float | Tensor) -> Tensor:
        return super().at_maximisers(oracle, w, t, rho * 0)


@rival("deep-downhill", "the perturbation goes downhill")
class _Downhill(DeepSAM):
    def at_maximisers(self, oracle: Oracle, w: Tensor, t: int, rho: float | Tensor) -> Tensor:
        return super().at_maximisers(oracle, w, t, -rho)


@rival("deep-kept", "the perturbation is not taken back before the step")
class _Kept(DeepSAM):
    def step(
        self, oracle: Oracle, w: Tensor, state: Tensor | None, t: int
    ) -> tuple[Tensor, Tensor]:
        moved, velocity = super().step(oracle, w, state, t)
        return moved + (self.maximiser(oracle.batch(t), w, self.rho) - w), velocity


@rival("deep-stale", "the perturbation is that of the step before")
class _Stale(DeepSAM):
    def init(self, oracle: Oracle, w: Tensor) -> Any:
        return None, torch.zeros_like(w)

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        velocity, move = state
        seen = oracle.batch(t)
        moved, velocity = DeepSGD(self.step_size, self.momentum, self.weight_decay).step(
            _Moved(seen, move), w, velocity, t
        )
        return moved, (velocity, self.maximiser(seen, w, self.rho) - w)


class _Moved(Oracle):
    """An objective whose gradient is that at a point moved by a fixed amount."""

    def __init__(self, seen: Oracle, move: Tensor) -> None:
        self.seen, self.move = seen, move

    @property
    def ndim(self) -> int:
        return self.seen.ndim

    def value(self, w: Tensor) -> Tensor:
        return self.seen.value(w)

    def grad(self, w: Tensor) -> Any:
        return self.seen.grad(w + self.move)
