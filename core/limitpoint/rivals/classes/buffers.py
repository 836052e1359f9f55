"""Faults that people met in momentum: of plain descent, of signs, of matrices."""

from __future__ import annotations

import torch
from torch import Tensor

from limitpoint.rivals._registry import faulty
from limitpoint.rivals.classes import right
from limitpoint.rivals.classes.right import Group


@faulty("class-nesterov-minus", "the sign of Nesterov's look ahead is wrong", twin=right.SGD)
class _NesterovMinus(right.SGD):
    def look(self, d: Tensor, b: Tensor, group: Group) -> Tensor:
        return d - group["momentum"] * b if group["nesterov"] else b


@faulty("class-nesterov-kept", "Nesterov's look ahead is written into the buffer", twin=right.SGD)
class _NesterovKept(right.SGD):
    def look(self, d: Tensor, b: Tensor, group: Group) -> Tensor:
        return b.mul_(group["momentum"]).add_(d) if group["nesterov"] else b


@faulty("class-nesterov-ignored", "nesterov is an option that nobody reads", twin=right.SGD)
class _NesterovIgnored(right.SGD):
    def look(self, d: Tensor, b: Tensor, group: Group) -> Tensor:
        return b


@faulty("class-first-dampened", "the first buffer is dampened too", twin=right.SGD)
class _FirstDampened(right.SGD):
    def first(self, d: Tensor, group: Group) -> Tensor:
        return (1 - group["dampening"]) * d


@faulty("class-dampening-ignored", "dampening is an option that nobody reads", twin=right.SGD)
class _Undampened(right.SGD):
    def buffer(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        return super().buffer(p, d, {**group, "dampening": 0.0})


@faulty("class-buffer-is-gradient", "the first buffer is p.grad itself", twin=right.SGD,
        momentum=0.9)  # fmt: skip
class _BufferIsGradient(right.SGD):
    def first(self, d: Tensor, group: Group) -> Tensor:
        return d


@faulty("class-no-decay-without-momentum", "no decay where the momentum is 0", twin=right.SGD)
class _DecaysWithMomentum(right.SGD):
    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        return super().decayed(p, d, group) if group["momentum"] else d


@faulty("class-decays-frozen", "a parameter without a gradient decays", twin=right.SGD,
        weight_decay=0.1)  # fmt: skip
class _DecaysFrozen(right.SGD):
    def begin(self, group: Group) -> None:
        for p in group["params"]:
            if p.grad is None:
                p.mul_(1 - group["lr"] * group["weight_decay"])


@faulty("class-momentum-forgets", "the average is made anew at each step", twin=right.Signum)
class _Forgets(right.Signum):
    def average(self, p: Tensor, group: Group) -> Tensor:
        return torch.zeros_like(p)


@faulty("class-kernel-scale", "a kernel is scaled by its last two sides", twin=right.Muon)
class _KernelScale(right.Muon):
    def scale(self, p: Tensor, m: Tensor) -> float:
        return super().scale(p, p if p.ndim > 1 else m)


@faulty("class-kernel-slices", "each slice of a kernel is orthogonalised by itself",
        twin=right.Muon)  # fmt: skip
class _Slices(right.Muon):
    def matrix(self, b: Tensor) -> Tensor:
        return b if b.ndim > 1 else super().matrix(b)


@faulty("class-normalises-buffer", "the average is normalised in place where a copy is none",
        twin=right.Muon)  # fmt: skip
class _NormalisesBuffer(right.Muon):
    def direction(self, p: Tensor, b: Tensor) -> Tensor:
        x = b.bfloat16()
        x /= x.norm() + 1e-7
        return super().direction(p, b)


@faulty("class-rate-of-first", "the first group's step size is used for all", twin=right.SGD)
class _StepOfFirst(right.SGD):
    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        super().apply(p, d, {**group, "lr": self.param_groups[0]["lr"]})
