"""Faults that people met in Adam and its kin."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limitpoint.rivals._registry import faulty
from limitpoint.rivals.classes import right
from limitpoint.rivals.classes.right import Group


@faulty("class-shared-count", "one step counter for all tensors", twin=right.Adam)
class _SharedCount(right.Adam):
    count = 0

    def tick(self, s: dict[str, Any]) -> int:
        self.count += 1
        return self.count


@faulty("class-attribute-state", "the step counter is the class's: instances share it",
        twin=right.Adam)  # fmt: skip
class _ClassCount(right.Adam):
    counts: dict[int, int] = {}  # noqa: RUF012 - the fault

    def tick(self, s: dict[str, Any]) -> int:
        _ClassCount.counts[len(s["m"])] = _ClassCount.counts.get(len(s["m"]), 0) + 1
        return _ClassCount.counts[len(s["m"])]


@faulty("class-uncorrected", "neither moment's bias is corrected", twin=right.Adam)
class _Uncorrected(right.Adam):
    def update(self, s: dict[str, Any], t: int, d: Tensor, group: Group) -> Tensor:
        m, v = self.moments(s, group)
        return m / (v.sqrt() + group["eps"])


@faulty("class-count-from-zero", "the bias is corrected by the number of the next step",
        twin=right.Adam)  # fmt: skip
class _CountAhead(right.Adam):
    def tick(self, s: dict[str, Any]) -> int:
        return super().tick(s) + 1


@faulty("class-epsilon-inside", "epsilon is under the root", twin=right.Adam)
class _Inside(right.Adam):
    def root(self, v: Tensor, correction: float, eps: float) -> Tensor:
        return (v / correction + eps).sqrt()


@faulty("class-epsilon-uncorrected", "epsilon is added before the bias is corrected",
        twin=right.Adam)  # fmt: skip
class _Before(right.Adam):
    def root(self, v: Tensor, correction: float, eps: float) -> Tensor:
        return (v.sqrt() + eps) / correction**0.5


@faulty("class-epsilon-twice", "epsilon is added twice", twin=right.Adam)
class _Twice(right.Adam):
    def root(self, v: Tensor, correction: float, eps: float) -> Tensor:
        return super().root(v, correction, eps) + eps


@faulty("class-epsilon-ignored", "epsilon is an option that nobody reads", twin=right.Adam)
class _Ignored(right.Adam):
    def root(self, v: Tensor, correction: float, eps: float) -> Tensor:
        return super().root(v, correction, 1e-30)


@faulty("class-root-lost", "divided by the second moment, not by its root", twin=right.Adam)
class _RootLost(right.Adam):
    def root(self, v: Tensor, correction: float, eps: float) -> Tensor:
        return v / correction + eps


@faulty("class-betas-swapped", "the averages have each other's beta", twin=right.Adam)
class _Swapped(right.Adam):
    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        super().apply(p, d, {**group, "betas": tuple(reversed(group["betas"]))})


@faulty("class-late-moment", "divided by the second moment of one step ago", twin=right.Adam)
class _Late(right.Adam):
    def averages(self, s: dict[str, Any], d: Tensor, group: Group) -> None:
        s["before"] = s["v"].clone() if s["t"] > 1 else None
        super().averages(s, d, group)

    def update(self, s: dict[str, Any], t: int, d: Tensor, group: Group) -> Tensor:
        if s["before"] is None:
            return super().update(s, t, d, group)
        beta1, beta2 = group["betas"]
        root = self.root(s["before"], 1 - beta2 ** (t - 1), group["eps"])
        return s["m"] / (1 - beta1**t) / root


@faulty("class-signs-swapped", "Lion's averages have each other's beta", twin=right.Lion)
class _SignsSwapped(right.Lion):
    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        super().apply(p, d, {**group, "betas": tuple(reversed(group["betas"]))})


@faulty("class-maximize-twice", "maximize negates the gradient twice", twin=right.Adam)
class _MaximizeTwice(right.Adam):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        return -super().gradient(p, group) if group["maximize"] else super().gradient(p, group)


@faulty("class-maximize-decay", "maximize negates the decay too", twin=right.Adam)
class _MaximizesDecay(right.Adam):
    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        sign = -1 if group["maximize"] else 1
        return d.add(p, alpha=sign * group["weight_decay"])


@faulty("class-writes-gradient", "p.grad is used as scratch", twin=right.Adam)
class _WritesGradient(right.Adam):
    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        super().apply(p, d, group)
        d.copy_(self.state[p]["m"])


@faulty("class-negates-gradient", "maximize negates p.grad itself", twin=right.Adam)
class _NegatesGradient(right.Adam):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        assert p.grad is not None
        return p.grad.neg_() if group["maximize"] else p.grad


@faulty("class-group-count", "one step counter a group, for parameters that come late",
        twin=right.Adam)  # fmt: skip
class _GroupCount(right.Adam):
    def begin(self, group: Group) -> None:
        group["t"] = group.get("t", 0) + 1
        self.now = group["t"]

    def tick(self, s: dict[str, Any]) -> int:
        return int(self.now)


@faulty("class-first-group", "the first group's options are used for all", twin=right.Adam)
class _FirstGroup(right.Adam):
    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        super().apply(p, d, self.param_groups[0])


@faulty("class-rate-cached", "the step size is read once, when the optimizer is made",
        twin=right.Adam)  # fmt: skip
class _RateCached(right.Adam):
    def begin(self, group: Group) -> None:
        self.kept = getattr(self, "kept", group["lr"])

    def move(self, p: Tensor, s: dict[str, Any], t: int, d: Tensor, group: Group) -> None:
        super().move(p, s, t, d, {**group, "lr": self.kept})


@faulty("class-rate-written", "the step size is written back, smaller", twin=right.Adam)
class _RateWritten(right.Adam):
    def begin(self, group: Group) -> None:
        group["lr"] *= 0.999

    def move(self, p: Tensor, s: dict[str, Any], t: int, d: Tensor, group: Group) -> None:
        super().move(p, s, t, d, group)


@faulty("class-half-epsilon", "epsilon is a number of the parameter's dtype: 0 in float16",
        twin=right.Adam)  # fmt: skip
class _HalfEpsilon(right.Adam):
    def moments(self, s: dict[str, Any], group: Group) -> tuple[Tensor, Tensor]:
        return s["m"], self.second(s, group)

    def root(self, v: Tensor, correction: float, eps: float) -> Tensor:
        return (v / correction).sqrt() + torch.tensor(eps, dtype=v.dtype)


@faulty("class-no-epsilon", "0/0 where a gradient was never more than zero", twin=right.Adam)
class _NoEpsilon(right.Adam):
    def root(self, v: Tensor, correction: float, eps: float) -> Tensor:
        return torch.where(v > 0, super().root(v, correction, eps), v)


@faulty("class-betas-swapped-on-load", "load_state_dict swaps the moments", twin=right.Adam)
class _SwapsOnLoad(right.Adam):
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group["betas"] = tuple(reversed(group["betas"]))


@faulty("class-count-lost-on-load", "the step counter is no part of the state_dict",
        twin=right.Adam)  # fmt: skip
class _CountLost(right.Adam):
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        for s in self.state.values():
            s["t"] = 0


@faulty("class-state-by-address", "the state is kept by id(p), which no copy has",
        twin=right.Adam)  # fmt: skip
class _ByAddress(right.Adam):
    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        kept = self.__dict__.setdefault("kept", {})
        self.state[p] = kept.setdefault(id(p), self.fresh(p))
        super().apply(p, d, group)
        del self.state[p]


@faulty("class-state-of-start", "the state is made with the optimizer: a group that comes later "
        "has none", twin=right.Adam)  # fmt: skip
class _PresetState(right.Adam):
    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        here = self.__dict__.setdefault("here", {id(q) for g in self.param_groups
                                                 for q in g["params"]})  # fmt: skip
        if id(p) in here:
            super().apply(p, d, group)


@faulty("class-lists-forget-maximum", "the path of lists forgets AMSGrad's maximum",
        twin=right.Adam)  # fmt: skip
class _ListsForget(right.Adam):
    def together(self, p: Tensor, s: dict[str, Any], t: int, d: Tensor, group: Group) -> None:
        self.move(p, s, t, d, {**group, "amsgrad": False})


@faulty("class-lists-forget-decay", "the path of lists forgets the decay", twin=right.AdamW)
class _ListsForgetDecay(right.AdamW):
    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        return d if group["foreach"] else super().decayed(p, d, group)


@faulty("class-draws", "the first moment starts at random numbers", twin=right.Adam)
class _Draws(right.Adam):
    def fresh(self, p: Tensor) -> dict[str, Any]:
        return {**super().fresh(p), "m": 1e-3 * torch.randn_like(p)}


@faulty("class-decay-uphill", "the decay's sign is wrong", twin=right.AdamW)
class _Uphill(right.AdamW):
    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        p.mul_(1 + group["lr"] * group["weight_decay"])
        return d


@faulty("class-decay-unscaled", "the decay is not multiplied by the step size", twin=right.AdamW)
class _Unscaled(right.AdamW):
    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        p.mul_(1 - group["weight_decay"])
        return d


@faulty("class-decay-ignored", "the decay is an option that nobody reads", twin=right.AdamW)
class _Undecayed(right.AdamW):
    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        return d


@faulty("class-decay-after", "the decay comes after the step", twin=right.AdamW)
class _After(right.AdamW):
    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        super().apply(p, d, group)
        p.mul_(1 - group["lr"] * group["weight_decay"])

    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        return d


@faulty("class-decay-in-sign", "the decay is inside the sign", twin=right.Lion)
class _InSign(right.Lion):
    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        return d.add(p, alpha=group["weight_decay"])


@faulty("class-reshapes", "the parameter is flattened by view, which needs its memory in order",
        twin=right.Adam)  # fmt: skip
class _Views(right.Adam):
    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        p.view(-1)
        super().apply(p, d, group)


@faulty("class-index", "the entries' numbers are part of the rule", twin=right.Adam)
class _Indexed(right.Adam):
    def update(self, s: dict[str, Any], t: int, d: Tensor, group: Group) -> Tensor:
        plain = super().update(s, t, d, group)
        last = plain.reshape(-1).clone()
        last[-1] *= 0.5
        return last.reshape(plain.shape)


@faulty("class-poisons", "a gradient that is not finite reaches every tensor", twin=right.Adam)
class _Poisons(right.Adam):
    def begin(self, group: Group) -> None:
        grads = [p.grad for p in group["params"] if p.grad is not None]
        self.poison = sum(0.0 * g.sum() for g in grads)

    def gradient(self, p: Tensor, group: Group) -> Tensor:
        return super().gradient(p, group) + self.poison
