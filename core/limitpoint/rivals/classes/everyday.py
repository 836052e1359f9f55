"""Faults in what training scripts do every day: mixed lists, thawed tensors, entries at rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from limitpoint.rivals._registry import faulty
from limitpoint.rivals.classes import right
from limitpoint.rivals.classes.contract import Lists
from limitpoint.rivals.classes.right import Group
from limitpoint.rivals.classes.sam import SAM


class ByDtype(Lists):
    """The heavy ball on lists of one dtype each."""

    def together(self, live: list[Tensor], ways: list[Tensor], group: Group) -> None:
        """One list after the other."""
        pairs = list(zip(self.sorted(live), ways, strict=True))
        for dtype in {p.dtype for p in live}:
            chosen = [(p, d.to(dtype)) for p, d in pairs if p.dtype == dtype]
            super().together([p for p, _ in chosen], [d for _, d in chosen], group)

    def sorted(self, live: list[Tensor]) -> list[Tensor]:
        """In the order of what they are stepped along."""
        return live


@faulty("class-zips-by-dtype", "tensors are sorted by dtype, and their buffers are not",
        twin=ByDtype)  # fmt: skip
class _ZipsByDtype(ByDtype):
    def sorted(self, live: list[Tensor]) -> list[Tensor]:
        return sorted(live, key=lambda p: str(p.dtype))


@faulty("class-gradient-by-memory", "a gradient is read in the order of its memory",
        twin=right.Adam)  # fmt: skip
class _GradientByMemory(right.Adam):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        g = super().gradient(p, group)
        return torch.as_strided(g, p.shape, p.stride()) if g.numel() else g


@faulty("class-first-of-group", "a group's count is kept with its first tensor", twin=right.Adam)
class _FirstOfGroup(right.Adam):
    def begin(self, group: Group) -> None:
        self.state[group["params"][0]]


@faulty("class-trainable-once", "which tensors are trained is asked once", twin=right.Adam)
class _TrainableOnce(right.Adam):
    def add_param_group(self, param_group: Group) -> None:
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            if not p.requires_grad:
                self.state[p]["left out"] = True

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        if "left out" not in self.state[p]:
            super().apply(p, d, group)


@faulty("class-sign-of-zero", "the sign of zero is one", twin=right.Signum)
class _SignOfZero(right.Signum):
    def direction(self, p: Tensor, b: Tensor) -> Tensor:
        return torch.where(b >= 0, 1.0, -1.0).to(b.dtype)


@faulty("class-climbs-down", "the perturbation is taken off again, which rounds", twin=SAM)
class _ClimbsDown(SAM):
    def climb(self, p: Tensor, group: Group, factor: Tensor | float) -> Tensor:
        found = super().climb(p, group, factor)
        self.state[p]["e"] = found
        return found

    def restore(self) -> None:
        for p, _ in self.climbed:
            p.sub_(self.state[p]["e"])
        self.climbed = []


@faulty("class-log-of-beta", "the bias correction is by the logarithm of a beta that may be 0",
        twin=right.Adam)  # fmt: skip
class _LogOfBeta(right.Adam):
    def update(self, s: dict[str, Any], t: int, d: Tensor, group: Group) -> Tensor:
        first, second = (torch.tensor(beta).log() for beta in group["betas"])
        m, v = self.moments(s, group)
        root = self.root(v, float(-(t * second).expm1()), group["eps"])
        return m / float(-(t * first).expm1() + 0 * first) / root


class Gradual(right.SGD):
    """Descent whose first step is half as long as the others."""

    def __init__(self, params: Iterable[Any], lr: float = 1e-2) -> None:
        super().__init__(params, lr)

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        """By the parameter's own count."""
        s = self.state[p]
        s["t"] = s.get("t", 0) + 1
        rate = self.rate(group["lr"])
        rate = rate.new_tensor(float(rate) * (1 - 0.5 ** s["t"]))
        super().apply(p, d, {**group, "lr": float(rate)})

    def rate(self, lr: float) -> Tensor:
        """A tensor of it."""
        return torch.tensor(lr, dtype=torch.float64)


@faulty("class-integer-rate", "an lr that is an int makes a tensor of ints, of which shares are 0",
        twin=Gradual)  # fmt: skip
class _IntegerRate(Gradual):
    def rate(self, lr: float) -> Tensor:
        return torch.tensor(lr, dtype=torch.int64 if isinstance(lr, int) else torch.float64)


@faulty("class-keeps-every-step", "what was stepped is kept, and nobody reads it", twin=right.Adam)
class _KeepsEveryStep(right.Adam):
    def update(self, s: dict[str, Any], t: int, d: Tensor, group: Group) -> Tensor:
        found = super().update(s, t, d, group)
        self.__dict__.setdefault("history", []).append(found)
        return found


@faulty("class-gathers-early", "gradients are gathered before the closure is called",
        twin=right.Adam)  # fmt: skip
class _GathersEarly(right.Adam):
    def call(self, closure: right.Closure | None) -> Tensor | None:
        everything = [p for group in self.param_groups for p in group["params"]]
        self.gathered = {p: p.grad for p in everything if p.grad is not None}
        return super().call(closure)

    def gradient(self, p: Tensor, group: Group) -> Tensor:
        return self.gathered.get(p, super().gradient(p, group))


@faulty("class-zero-grad-drops", "zero_grad(set_to_none=False) drops gradients", twin=right.Adam)
class _ZeroGradDrops(right.Adam):
    def zero_grad(self, set_to_none: bool = True) -> None:
        super().zero_grad()


@faulty("class-lists-decay-gradient", "on the path of lists the decay is added to p.grad itself",
        twin=right.Adam)  # fmt: skip
class _ListsDecayGradient(right.Adam):
    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        if group["foreach"] and group["weight_decay"]:
            return d.add_(p, alpha=group["weight_decay"])
        return super().decayed(p, d, group)


@faulty("class-sets-precision", "the precision of everybody's products is set", twin=right.Adam)
class _SetsPrecision(right.Adam):
    def begin(self, group: Group) -> None:
        torch.set_float32_matmul_precision("medium")


class Default(right.Adam):
    """Adam whose first moment has its parameter's dtype, whatever is usual."""

    def fresh(self, p: Tensor) -> dict[str, Any]:
        """The state before the first step."""
        return {**super().fresh(p), "m": torch.zeros(p.shape, dtype=self.dtype(p))}

    def averages(self, s: dict[str, Any], d: Tensor, group: Group) -> None:
        """Each in its own dtype."""
        beta1, beta2 = group["betas"]
        s["m"].mul_(beta1).add_(d.to(s["m"].dtype), alpha=1 - beta1)
        s["v"].mul_(beta2).addcmul_(d, d, value=1 - beta2)

    def dtype(self, p: Tensor) -> torch.dtype:
        """Of the first moment."""
        return p.dtype


@faulty("class-default-dtype", "the first moment has the default dtype", twin=Default)
class _DefaultDtype(Default):
    def dtype(self, p: Tensor) -> torch.dtype:
        return torch.get_default_dtype()


@faulty("class-decay-read-once", "the decay of the first step stays", twin=right.AdamW)
class _DecayReadOnce(right.AdamW):
    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        decay = self.__dict__.setdefault("decay", group["weight_decay"])
        return super().decayed(p, d, {**group, "weight_decay": decay})


class OfAll(right.Hooked):
    """Descent along all gradients over the norm of all."""

    def __init__(self, params: Iterable[Any], lr: float = 1e-2) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": 0.0})

    def begin(self, group: Group) -> None:
        """The norm, in float64, where 1e-12 is a number; before anybody has moved."""
        if group is self.param_groups[0]:
            everything = [p.grad for one in self.param_groups for p in one["params"]]
            norms = [g.double().norm() for g in everything if g is not None]
            self.norm = torch.stack(norms).norm() + 1e-12 if norms else torch.ones(())

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        """Each by its group's own step size."""
        p.sub_((self.rate(group) * d / self.norm).to(p.dtype))

    def rate(self, group: Group) -> float:
        """The group's own."""
        return float(group["lr"])


@faulty("class-normalised-rate-of-first", "under the norm of all, the first group's step size is "
        "everybody's", twin=OfAll)  # fmt: skip
class _RateOfFirst(OfAll):
    def rate(self, group: Group) -> float:
        return float(self.param_groups[0]["lr"])


@dataclass
class Count:
    """Steps."""

    steps: int = 0


@faulty("class-object-in-state", "the count of steps is an object of a class of its own, which "
        "torch.load does not trust", twin=right.Adam)  # fmt: skip
class _ObjectInState(right.Adam):
    def tick(self, s: dict[str, Any]) -> int:
        s.setdefault("count", Count()).steps += 1
        return super().tick(s)
