"""Faults that people met in SAM."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limitpoint.rivals._registry import faulty
from limitpoint.rivals.classes.right import Closure, Group
from limitpoint.rivals.classes.sam import SAM


@faulty("class-norm-by-tensor", "the perturbation is normalised tensor by tensor", twin=SAM)
class _ByTensor(SAM):
    def of(self, p: Tensor, factor: Tensor | float) -> Tensor | float:
        assert p.grad is not None
        return 1 / (p.grad.norm() + 1e-12)


@faulty("class-norm-by-group", "the perturbation is normalised group by group", twin=SAM)
class _ByGroup(SAM):
    def of(self, p: Tensor, factor: Tensor | float) -> Tensor | float:
        (group,) = (g for g in self.param_groups if any(q is p for q in g["params"]))
        norms = [q.grad.norm() for q in group["params"] if q.grad is not None]
        return 1 / (torch.stack(norms).norm() + 1e-12)


@faulty("class-norms-added", "the tensors' norms are added, not their squares", twin=SAM)
class _Added(SAM):
    def factor(self) -> Tensor | float:
        norms = [p.grad.norm() for g in self.param_groups for p in g["params"]
                 if p.grad is not None]  # fmt: skip
        return 1 / (torch.stack(norms).sum() + 1e-12)


@faulty("class-ascent-down", "it climbs down", twin=SAM)
class _Down(SAM):
    def direction(self, p: Tensor, group: Group) -> Tensor:
        return -super().direction(p, group)


@faulty("class-rho-ignored", "rho is an option that nobody reads", twin=SAM)
class _NoRadius(SAM):
    def direction(self, p: Tensor, group: Group) -> Tensor:
        return super().direction(p, group) * (0.05 / group["rho"])


@faulty("class-zero-norm", "0/0 where all gradients are zero", twin=SAM)
class _ZeroNorm(SAM):
    def factor(self) -> Tensor | float:
        norms = [p.grad.norm() for g in self.param_groups for p in g["params"]
                 if p.grad is not None]  # fmt: skip
        return 1 / torch.stack(norms).norm()


@faulty("class-gradients-added", "the second gradient is added to the first", twin=SAM)
class _Added2(SAM):
    def first_step(self, zero_grad: bool = False) -> None:
        super().first_step(zero_grad=False)


@faulty("class-adaptive-gradient", "adaptive: |g| in place of |w|", twin=SAM)
class _AdaptiveGradient(SAM):
    def weighted(self, p: Tensor, group: Group) -> Tensor:
        assert p.grad is not None
        return p.grad.abs() * p.grad if group["adaptive"] else p.grad

    def direction(self, p: Tensor, group: Group) -> Tensor:
        assert p.grad is not None
        return p.grad.abs() * p.grad if group["adaptive"] else p.grad


@faulty("class-perturbation-left", "no way back for a parameter without a second gradient",
        twin=SAM)  # fmt: skip
class _Left(SAM):
    def restore(self) -> None:
        for p, before in self.climbed:
            if p.grad is not None:
                p.copy_(before)


@faulty("class-way-back-rounded", "the perturbation is subtracted, at another radius",
        twin=SAM)  # fmt: skip
class _WayBack(SAM):
    def restore(self) -> None:
        for p, before in self.climbed:
            p.lerp_(before, 0.99)


@faulty("class-groups-part-on-load", "after load_state_dict the base has groups of its own",
        twin=SAM)  # fmt: skip
class _Parts(SAM):
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        torch.optim.Optimizer.load_state_dict(self, state_dict)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


@faulty("class-base-state-lost", "the base's momentum is no part of the state_dict",
        twin=SAM, momentum=0.9)  # fmt: skip
class _BaseLost(SAM):
    def link(self) -> None:
        self.param_groups = self.base_optimizer.param_groups

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        torch.optim.Optimizer.load_state_dict(self, state_dict)
        self.base_optimizer.param_groups = self.param_groups


@faulty("class-sam-loss-lost", "step(closure) returns no loss", twin=SAM)
class _SamLossLost(SAM):
    def step(self, closure: Closure | None = None) -> Tensor:  # type: ignore[override]
        super().step(closure)
        return None  # type: ignore[return-value] # the fault
