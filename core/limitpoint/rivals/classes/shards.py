"""Faults that only show where a process has some rows of a tensor: with all, each is right."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limitpoint.rivals._registry import faulty
from limitpoint.rivals.classes import right
from limitpoint.rivals.classes.blocks import Adafactor, Lamb, share
from limitpoint.rivals.classes.right import Group
from limitpoint.rivals.classes.sam import SAM


def local(x: Any) -> Tensor:
    """The rows that this process has, as the same memory."""
    found: Tensor = x.to_local() if hasattr(x, "to_local") else x
    return found


@faulty("class-norm-of-shard", "the trust ratio is that of the rows that a process has",
        twin=Lamb)  # fmt: skip
class _NormOfShard(Lamb):
    def move(self, p: Tensor, s: dict[str, Any], t: int, d: Tensor, group: Group) -> None:
        kept = {name: local(x) for name, x in s.items()}
        super().move(local(p), kept, t, local(d), group)


@faulty("class-item-of-shard", "a norm is read by item(), which torch does not reduce over the "
        "processes", twin=Lamb)  # fmt: skip
class _ItemOfShard(Lamb):
    def ratio(self, p: Tensor, u: Tensor, r: Tensor, d: Tensor) -> Tensor:
        norms = (torch.tensor(x.norm().item(), dtype=x.dtype) for x in (p, u))
        return share(*norms)


@faulty("class-orthogonal-shard", "the rows that a process has are orthogonalised, not the matrix",
        twin=right.Muon)  # fmt: skip
class _OrthogonalShard(right.Muon):
    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        b = self.average(p, group)
        b.mul_(group["momentum"]).add_(d, alpha=1 - group["momentum"])
        if local(p).numel():
            local(p).sub_(group["lr"] * self.direction(local(p), local(b)))


@faulty("class-factor-of-shard", "squares by rows and columns of the rows that a process has",
        twin=Adafactor)  # fmt: skip
class _FactorOfShard(Adafactor):
    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        rows = local(p)
        self.state[rows] = self.state[p]
        super().apply(rows, local(d), group)
        self.state[p] = self.state.pop(rows)


@faulty("class-climb-of-shard", "it climbs over the norm of the rows that a process has", twin=SAM)
class _ClimbOfShard(SAM):
    def weighted(self, p: Tensor, group: Group) -> Tensor:
        return local(super().weighted(p, group))


@faulty("class-state-of-shard", "moments are plain tensors, of the rows that a process has: a "
        "checkpoint keeps those of one process", twin=right.Adam)  # fmt: skip
class _StateOfShard(right.Adam):
    def fresh(self, p: Tensor) -> dict[str, Any]:
        return super().fresh(local(p))

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        s = self.state[p]
        if not s:
            s |= self.fresh(p)
        t = self.tick(s)
        self.averages(s, local(d), group)
        self.move(local(p), s, t, local(d), group)


@faulty("class-saves-beside", "the count of steps is saved in a key of its own, which nobody "
        "gathers where the state is in several processes", twin=right.Adam)  # fmt: skip
class _SavesBeside(right.Adam):
    def tick(self, s: dict[str, Any]) -> int:
        s["t"] = s.get("t", 0) + 1
        return int(s["t"])

    def state_dict(self) -> dict[str, Any]:
        found = super().state_dict()
        state = {k: dict(s) for k, s in found["state"].items()}
        return {**found, "counts": {k: s.pop("t") for k, s in state.items()}, "state": state}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        counts, state = state_dict["counts"], state_dict["state"]
        whole = {k: {**s, "t": counts[k]} for k, s in state.items()}
        super().load_state_dict({**state_dict, "state": whole})
