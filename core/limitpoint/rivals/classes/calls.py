"""Faults in how a closure is called, and in what a checkpoint reaches."""

from __future__ import annotations

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
