"""Estimates of the distance to go, which a step size of 1 multiplies; and faults of theirs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from limitpoint.rivals._registry import faulty
from limitpoint.rivals.classes.right import Closure, Group, Hooked


class Distance(Hooked):
    """Signs of averaged gradients, at an estimate of the distance (Mishchenko 2024, Prodigy)."""

    def __init__(self, params: Iterable[Any], lr: float = 1.0, d0: float = 1e-3) -> None:
        super().__init__(params, {"lr": lr, "d": d0, "along": 0.0, "size": 0.0})

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor | None:  # type: ignore[override]
        """One step; the closure's loss."""
        loss = self.call(closure)
        for groups in self.judged():
            found = [self.move(group) for group in groups]
            along, size = (sum(each) for each in zip(*found, strict=True))
            for group in groups:
                group["along"] += along
                group["size"] += size
                if group["size"]:
                    group["d"] = max(group["d"], group["along"] / group["size"])
        return loss

    def judged(self) -> list[list[Group]]:
        """The groups that have an estimate together."""
        return [self.param_groups]

    def move(self, group: Group) -> tuple[float, float]:
        """Step the parameters of a group; what the way was worth, and what it could have been."""
        along = size = 0.0
        for p in group["params"]:
            if p.grad is None:
                continue
            s = self.state[p]
            if not s:
                s["start"], s["average"] = p.clone(), torch.zeros_like(p)
            s["average"].lerp_(p.grad, 0.5)
            along += self.number((p.grad * (s["start"] - p)).sum())
            size += self.number(p.grad.abs().sum())
            p.sub_(group["lr"] * group["d"] * s["average"].sign())
        return along, size

    def number(self, x: Any) -> float:
        """Of the whole tensor."""
        return float(x.full_tensor() if hasattr(x, "full_tensor") else x)


@faulty("class-estimate-of-shard", "the distance is estimated from the rows that a process has",
        twin=Distance)  # fmt: skip
class _EstimateOfShard(Distance):
    def number(self, x: Any) -> float:
        return float(x)


@faulty("class-estimate-by-group", "each group has an estimate of the distance of its own",
        twin=Distance)  # fmt: skip
class _EstimateByGroup(Distance):
    def judged(self) -> list[list[Group]]:
        return [[group] for group in self.param_groups]


@faulty("class-estimate-not-saved", "the estimate of the distance is an attribute, which no "
        "checkpoint has", twin=Distance)  # fmt: skip
class _EstimateNotSaved(Distance):
    def __init__(self, params: Iterable[Any], lr: float = 1.0, d0: float = 1e-3) -> None:
        super().__init__(params, lr, d0)
        self.known = {name: self.defaults[name] for name in ("d", "along", "size")}

    def step(self, closure: Closure | None = None) -> Tensor | None:  # type: ignore[override]
        for group in self.param_groups:
            group.update(self.known)
        loss = super().step(closure)
        self.known = {name: self.param_groups[0][name] for name in self.known}
        return loss
