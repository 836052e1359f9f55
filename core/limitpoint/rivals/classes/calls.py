"""Faults in how closures and scalers of the loss are heard, and in what a checkpoint reaches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from limitpoint.rivals._registry import faulty
from limitpoint.rivals.classes import right
from limitpoint.rivals.classes.right import Group


@faulty("class-closure-blind", "closures are called without gradients", twin=right.Adam)
class _Blind(right.Adam):
    def call(self, closure: right.Closure | None) -> Tensor | None:
        return closure() if closure is not None else None


@faulty("class-loss-lost", "step() returns no loss", twin=right.Adam)
class _LossLost(right.Adam):
    def call(self, closure: right.Closure | None) -> Tensor | None:
        super().call(closure)
        return None


@faulty("class-closure-twice", "the closure is called twice", twin=right.Adam)
class _CalledTwice(right.Adam):
    def call(self, closure: right.Closure | None) -> Tensor | None:
        super().call(closure)
        return super().call(closure)


@faulty("class-closure-late", "the closure is called after the step", twin=right.Adam)
class _CalledLate(right.Adam):
    @torch.no_grad()
    def step(self, closure: right.Closure | None = None) -> Tensor | None:  # type: ignore[override]
        super().step()
        return self.call(closure)


@faulty("class-options-of-constructor", "load_state_dict does not reach the betas", twin=right.Adam)
class _OptionsOfConstructor(right.Adam):
    def update(self, s: dict[str, Any], t: int, d: Tensor, group: Group) -> Tensor:
        return super().update(s, t, d, {**group, "betas": self.defaults["betas"]})


class Unscales(right.Adam):
    """Adam that heeds `torch.amp.GradScaler` itself, which sets these for a step."""

    _step_supports_amp_scaling = True
    grad_scale: Tensor | float = 1.0
    found_inf: Tensor | float = 0.0

    def gradient(self, p: Tensor, group: Group) -> Tensor:
        """Without the scale of the loss."""
        return super().gradient(p, group) / self.grad_scale

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        """None where a gradient has overflowed."""
        if not self.found_inf:
            super().apply(p, d, group)


@faulty("class-counts-skipped", "a step that is left out for an overflow counts as one",
        twin=Unscales)  # fmt: skip
class _CountsSkipped(Unscales):
    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        super().apply(p, d, group)
        if self.found_inf:
            self.tick(self.state[p])


@faulty("class-keeps-scale", "gradients are not unscaled, which it says that it does",
        twin=Unscales, eps=1e-3)  # fmt: skip
class _KeepsScale(Unscales):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        return right.Adam.gradient(self, p, group)


@faulty("class-hides-tensors", "all tensors but the first are given to another optimizer, of which "
        "its own groups know nothing", twin=right.SGD)  # fmt: skip
class _HidesTensors(right.SGD):
    def __init__(self, params: Iterable[Any], lr: float = 1e-2) -> None:
        first, *others = params
        super().__init__([first], lr)
        self.others = right.SGD(others, lr) if others else None

    def call(self, closure: right.Closure | None) -> Tensor | None:
        loss = super().call(closure)
        if self.others is not None:
            self.others.step()
        return loss
