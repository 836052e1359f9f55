"""Faults in what torch's contract leaves to a class: how it is handed its parameters, what a step
leaves behind, tensors and counts that are large."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from limitpoint.rivals._registry import faulty
from limitpoint.rivals.classes import right
from limitpoint.rivals.classes.blocks import Adafactor
from limitpoint.rivals.classes.right import Closure, Group
from limitpoint.rivals.classes.sam import SAM


@faulty("class-reads-twice", "parameters are looked through before they are kept: nothing is left "
        "of an iterator", twin=right.Adam)  # fmt: skip
class _ReadsTwice(right.Adam):
    def __init__(self, params: Iterable[Any], lr: float = 1e-3) -> None:
        if not all(p is not None for p in params):
            raise ValueError("a parameter is None")
        super().__init__(params, lr)


@faulty("class-tensor-by-rows", "a group of one tensor that is in no list becomes its rows",
        twin=right.Adam)  # fmt: skip
class _TensorByRows(right.Adam):
    def add_param_group(self, param_group: Group) -> None:
        super().add_param_group({**param_group, "params": list(param_group["params"])})


class Ball(right.SGD):
    """The heavy ball with no other options."""

    def __init__(self, params: Iterable[Any], lr: float = 1e-2, momentum: float = 0.9) -> None:
        super().__init__(params, lr, momentum)


class Lists(Ball):
    """The heavy ball on lists, which torch wants to have something in them."""

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor | None:  # type: ignore[override]
        """One step; the closure's loss."""
        loss = self.call(closure)
        for group in self.param_groups:
            live = [p for p in group["params"] if p.grad is not None]
            if self.steps(live):
                ways = [self.buffer(p, self.gradient(p, group), group) for p in live]
                self.together(live, ways, group)
        return loss

    def together(self, live: list[Tensor], ways: list[Tensor], group: Group) -> None:
        """The step of all."""
        torch._foreach_add_(live, ways, alpha=-group["lr"])

    def steps(self, live: list[Tensor]) -> bool:
        """Whether there is anything to be stepped."""
        return bool(live)


@faulty("class-empty-group", "a group that has no gradients raises", twin=Lists)
class _EmptyGroup(Lists):
    def steps(self, live: list[Tensor]) -> bool:
        return True


@faulty("class-scalar-by-rows", "a step is taken by rows, which a scalar has not", twin=right.Adam)
class _ScalarByRows(right.Adam):
    def update(self, s: dict[str, Any], t: int, d: Tensor, group: Group) -> Tensor:
        return super().update(s, t, d, group).reshape(d.shape[0], -1).reshape(d.shape)


@faulty("class-groups-of-constructor", "the base has the groups of the constructor: one that is "
        "added later is never stepped", twin=SAM)  # fmt: skip
class _GroupsOfConstructor(SAM):
    def link(self) -> None:
        self.state = self.base_optimizer.state


@faulty("class-zeroes-first-group", "zero_grad() is for the first group", twin=right.Adam)
class _ZeroesFirst(right.Adam):
    def zero_grad(self, set_to_none: bool = True) -> None:
        for p in self.param_groups[0]["params"]:
            p.grad = None


@faulty("class-sam-zeroes-early", "the second phase zeroes the gradient before it steps", twin=SAM)
class _ZeroesEarly(SAM):
    def second_step(self, zero_grad: bool = False) -> None:
        if zero_grad:
            self.zero_grad()
        super().second_step()


class Momentum(Ball):
    """The heavy ball in somebody's own loop, without `torch.no_grad`."""

    def step(self, closure: Closure | None = None) -> Tensor | None:  # type: ignore[override]
        """One step; the closure's loss."""
        loss = self.call(closure)
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    b = self.state[p].get("b", 0.0)
                    self.state[p]["b"] = b = group["momentum"] * b + self.gradient(p, group)
                    p.data.sub_(group["lr"] * b.detach())
        return loss

    def gradient(self, p: Tensor, group: Group) -> Tensor:
        """Without the graph that it may have."""
        return super().gradient(p, group).detach()


@faulty("class-keeps-graph", "the buffer keeps the graphs of all gradients", twin=Momentum)
class _KeepsGraph(Momentum):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        return right.SGD.gradient(self, p, group)


@faulty("class-moves-house", "a step makes a parameter another tensor, which who shares its memory "
        "does not see", twin=right.SGD)  # fmt: skip
class _MovesHouse(right.SGD):
    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        p.data = p.data.clone()
        super().apply(p, d, group)


@faulty("class-blocks-left-out", "large tensors are stepped by blocks of 2048, and what is left "
        "over is not", twin=right.Adam)  # fmt: skip
class _BlocksLeftOut(right.Adam):
    def update(self, s: dict[str, Any], t: int, d: Tensor, group: Group) -> Tensor:
        whole = super().update(s, t, d, group)
        if whole.numel() > 2048:
            whole.view(-1)[whole.numel() // 2048 * 2048 :] = 0
        return whole


@faulty("class-wide-rows-added", "squares of rows of 32 and more are added, not averaged",
        twin=Adafactor)  # fmt: skip
class _WideRowsAdded(Adafactor):
    def normaliser(self, rows: Tensor) -> Tensor:
        found = super().normaliser(rows)
        return found * rows.shape[-2] if rows.shape[-2] >= 32 else found


class Counts(right.Adam):
    """Adam whose count of steps is a tensor."""

    def fresh(self, p: Tensor) -> dict[str, Any]:
        """The state before the first step."""
        return {**super().fresh(p), "t": torch.zeros((), dtype=self.dtype(p))}

    def dtype(self, p: Tensor) -> torch.dtype:
        """Of the count."""
        return torch.float32


@faulty("class-counts-in-half", "steps are counted in the parameter's dtype: bfloat16 ends at 256",
        twin=Counts)  # fmt: skip
class _CountsInHalf(Counts):
    def dtype(self, p: Tensor) -> torch.dtype:
        return p.dtype
