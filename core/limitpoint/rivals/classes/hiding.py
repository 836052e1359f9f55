"""Faults that a default run does not show: under another switch, late, at another step size."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limitpoint.rivals._registry import faulty
from limitpoint.rivals.classes import right
from limitpoint.rivals.classes.right import Group
from limitpoint.rivals.classes.sam import SAM


@faulty("class-epsilon-lost-with-maximum", "with amsgrad, epsilon is an option that nobody reads",
        twin=right.Adam)  # fmt: skip
class _EpsilonLost(right.Adam):
    def update(self, s: dict[str, Any], t: int, d: Tensor, group: Group) -> Tensor:
        return super().update(s, t, d, {**group, "eps": 1e-30} if group["amsgrad"] else group)


@faulty("class-maximize-lost-with-maximum", "with amsgrad, maximize minimizes", twin=right.Adam)
class _Minimizes(right.Adam):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        return super().gradient(p, {**group, "maximize": group["maximize"] > group["amsgrad"]})


@faulty("class-correction-ends", "after a hundred steps the second moment's bias is left",
        twin=right.Adam)  # fmt: skip
class _CorrectionEnds(right.Adam):
    def root(self, v: Tensor, correction: float, eps: float) -> Tensor:
        return super().root(v, correction if correction < 1 - 0.99**100 else 1.0, eps)


@faulty("class-root-of-correction-lost", "the second moment's correction is outside its root",
        twin=right.Adam)  # fmt: skip
class _OutsideRoot(right.Adam):
    def root(self, v: Tensor, correction: float, eps: float) -> Tensor:
        return v.sqrt() / correction + eps


@faulty("class-decay-warms-up", "the decay is multiplied by the bias correction", twin=right.AdamW)
class _DecayWarmsUp(right.AdamW):
    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        t = self.state[p].get("t", 0) + 1
        decay = group["weight_decay"] * (1 - group["betas"][0] ** t)
        return super().decayed(p, d, {**group, "weight_decay": decay})


@faulty("class-decay-at-first-rate", "the decay keeps the first step size", twin=right.AdamW)
class _DecayAtFirstRate(right.AdamW):
    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        return super().decayed(p, d, {**group, "lr": group.setdefault("first_lr", group["lr"])})


@faulty("class-decays-by-dtype", "the path of lists decays all tensors once a dtype",
        twin=right.AdamW)  # fmt: skip
class _DecaysByDtype(right.AdamW):
    def begin(self, group: Group) -> None:
        live = [p for p in group["params"] if p.grad is not None]
        for p in live if group["foreach"] and len({p.dtype for p in live}) > 1 else ():
            p.mul_(1 - group["lr"] * group["weight_decay"])


@faulty("class-lists-share-count", "the path of lists counts the steps of its first tensor",
        twin=right.Adam)  # fmt: skip
class _ListsShareCount(right.Adam):
    def together(self, p: Tensor, s: dict[str, Any], t: int, d: Tensor, group: Group) -> None:
        t = next(self.state[q]["t"] for q in group["params"] if self.state[q])
        super().together(p, s, t, d, group)


@faulty("class-seeds", "each step seeds torch's generator, for everybody", twin=right.Adam)
class _Seeds(right.Adam):
    def begin(self, group: Group) -> None:
        torch.manual_seed(0)


@faulty("class-soft-sign", "the sign is a quotient with an epsilon of its own", twin=right.Signum)
class _SoftSign(right.Signum):
    def direction(self, p: Tensor, b: Tensor) -> Tensor:
        return b / (b.abs() + 1e-2)


@faulty("class-radius-of-first", "the first group's rho is used for all", twin=SAM)
class _RadiusOfFirst(SAM):
    def direction(self, p: Tensor, group: Group) -> Tensor:
        return super().direction(p, group) * (self.param_groups[0]["rho"] / group["rho"])


@faulty("class-momentum-attribute", "the momentum is no part of the state_dict", twin=right.SGD)
class _Attribute(right.SGD):
    def buffer(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        kept = self.__dict__.setdefault("kept", {})
        self.state[p] = kept.setdefault(p, {})
        b = super().buffer(p, d, group)
        del self.state[p]
        return b
