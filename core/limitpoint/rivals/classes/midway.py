"""Faults in what happens between two steps: checkpoints, schedules, edits, two iterates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from limitpoint.rivals._registry import faulty
from limitpoint.rivals.classes import right
from limitpoint.rivals.classes.right import Group, Hooked


class Cached(Hooked):
    """Gradients over the root of the rows' squares, which is taken at each fifth step."""

    def __init__(self, params: Iterable[Any], lr: float = 1e-2) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": 0.0})

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        """The sum, its root, the step."""
        s = self.state[p]
        t = s.setdefault("t", 0)
        s["sum"] = s.get("sum", 1.0) + d.square().flatten(1).sum(1)
        kept = self.kept(p)
        if t % 5 == 0 or "root" not in kept:
            kept["root"] = s["sum"].sqrt()
        s["t"] = t + 1
        p.sub_(group["lr"] * (d.flatten(1) / kept["root"].unsqueeze(1)).view_as(d))

    def kept(self, p: Tensor) -> dict[str, Any]:
        """Where the root is."""
        found: dict[str, Any] = self.state[p]
        return found


@faulty("class-cache-not-saved", "the root of before is in no checkpoint, which ends where it is "
        "taken anew", twin=Cached)  # fmt: skip
class _CacheNotSaved(Cached):
    def kept(self, p: Tensor) -> dict[str, Any]:
        found: dict[str, Any] = self.__dict__.setdefault("roots", {}).setdefault(p, {})
        return found


class Master(right.AdamW):
    """AdamW on a copy of the parameter in float32 or more, which follows edits of it."""

    def fresh(self, p: Tensor) -> dict[str, Any]:
        """Moments and the copy."""
        wide = torch.promote_types(p.dtype, torch.float32)
        return {**super().fresh(p.to(wide)), "master": p.detach().to(wide, copy=True)}

    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        """Nothing yet: the copy decays."""
        return d

    def move(self, p: Tensor, s: dict[str, Any], t: int, d: Tensor, group: Group) -> None:
        """Of the copy, and then of the parameter."""
        w = s["master"]
        w.copy_(torch.where(w.to(p.dtype) == p, w, p.to(w.dtype)))
        w.mul_(1 - group["lr"] * group["weight_decay"])
        w.sub_(group["lr"] * self.update(s, t, d, group))
        p.copy_(w)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Not in the parameter's dtype, as torch does."""
        super().load_state_dict(state_dict)
        numbers = [n for group in state_dict["param_groups"] for n in group["params"]]
        parameters = [p for group in self.param_groups for p in group["params"]]
        for n, p in zip(numbers, parameters, strict=True):
            for name, x in state_dict["state"].get(n, {}).items():
                self.state[p][name] = x.clone() if isinstance(x, Tensor) else x


@faulty("class-master-rounded", "load_state_dict rounds the float32 copy to the parameter's dtype",
        twin=Master)  # fmt: skip
class _MasterRounded(Master):
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        right.AdamW.load_state_dict(self, state_dict)


@faulty("class-known-keys", "load_state_dict drops the keys of a group that it does not know",
        twin=right.Adam)  # fmt: skip
class _KnownKeys(right.Adam):
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        known = {"params", *self.defaults}
        groups = [{k: v for k, v in group.items() if k in known}
                  for group in state_dict["param_groups"]]  # fmt: skip
        super().load_state_dict({**state_dict, "param_groups": groups})


@faulty("class-hooks-unheard", "state_dict() is its own, and runs no hooks", twin=right.Adam)
class _HooksUnheard(right.Adam):
    def state_dict(self) -> dict[str, Any]:
        every = [p for group in self.param_groups for p in group["params"]]
        number = {p: n for n, p in enumerate(every)}
        groups = [{**group, "params": [number[p] for p in group["params"]]}
                  for group in self.param_groups]  # fmt: skip
        state = {number[p]: s for p, s in self.state.items()}
        return {"state": state, "param_groups": groups}


@faulty("class-options-in-private", "the betas are read from a key of the class's own, which no "
        "schedule writes", twin=right.Adam)  # fmt: skip
class _Private(right.Adam):
    def add_param_group(self, param_group: Group) -> None:
        super().add_param_group(param_group)
        self.param_groups[-1]["_betas"] = self.param_groups[-1]["betas"]

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        super().apply(p, d, {**group, "betas": group["_betas"]})


class Rated(right.SGD):
    """Descent whose step size may be a Tensor."""

    def __init__(self, params: Iterable[Any], lr: float | Tensor = 1e-2) -> None:
        super().__init__(params, lr)  # type: ignore[arg-type]

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        """The step."""
        p.sub_(self.rate(group) * d)

    def rate(self, group: Group) -> float:
        """As it is now."""
        return float(group["lr"])


@faulty("class-tensor-read-once", "a Tensor lr is read when it is another Tensor, not when it is "
        "filled", twin=Rated)  # fmt: skip
class _ReadOnce(Rated):
    read: tuple[Any, float] = (None, 0.0)

    def rate(self, group: Group) -> float:
        if self.read[0] is not group["lr"]:
            self.read = group["lr"], super().rate(group)
        return self.read[1]


class ScheduleFree(Hooked):
    """SGD without a schedule (Defazio et al. 2024): trained at y, judged at the average x."""

    def __init__(self, params: Iterable[Any], lr: float = 1e-2, beta: float = 0.9) -> None:
        super().__init__(params, {"lr": lr, "beta": beta, "trains": True, "t": 0})

    def begin(self, group: Group) -> None:
        """Count."""
        group["t"] += 1

    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        """There is no decay."""
        return d

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        """The average moves towards z, and z down."""
        z, beta = self.state[p].setdefault("z", p.clone()), group["beta"]
        p.lerp_(z, 1 / group["t"])
        p.add_(d, alpha=group["lr"] * (beta * (1 - 1 / group["t"]) - 1))
        z.sub_(d, alpha=group["lr"])

    def train(self) -> None:
        """To y."""
        self.go(True)

    def eval(self) -> None:
        """To x."""
        self.go(False)

    @torch.no_grad()
    def go(self, trains: bool) -> None:
        """To the other iterate, unless it is there."""
        for group in self.param_groups:
            if self.trains(group) != trains:
                weight = 1 - group["beta"] if trains else 1 - 1 / group["beta"]
                for p in group["params"]:
                    if p in self.state:
                        p.lerp_(self.state[p]["z"], weight)
        for group in self.param_groups:
            self.note(group, trains)

    def trains(self, group: Group) -> bool:
        """Which iterate it is at."""
        return bool(group["trains"])

    def note(self, group: Group, trains: bool) -> None:
        """Which iterate it is at now."""
        group["trains"] = trains


@faulty("class-averages-again", "eval() goes to the average from there, too", twin=ScheduleFree)
class _AveragesAgain(ScheduleFree):
    def eval(self) -> None:
        for group in self.param_groups:
            group["trains"] = True
        super().eval()


@faulty("class-mode-not-saved", "which iterate the parameters are is an attribute, which no "
        "checkpoint has", twin=ScheduleFree)  # fmt: skip
class _ModeNotSaved(ScheduleFree):
    on = True

    def trains(self, group: Group) -> bool:
        return self.on

    def note(self, group: Group, trains: bool) -> None:
        self.on = trains
