"""Faults in what training scripts do every day: mixed lists, thawed tensors, entries at rest."""

from __future__ import annotations

from collections.abc import Iterable
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
