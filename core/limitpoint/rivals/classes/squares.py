"""Squares that add up or are averaged: right classes, and faults in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from limitpoint.rivals._registry import faulty
from limitpoint.rivals.classes.right import Group, Hooked


class RMSprop(Hooked):
    """The root of an average of squares, centred or not, and a momentum of the quotients."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        *,
        centered: bool = False,
    ) -> None:
        options = {
            "lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay,
            "momentum": momentum, "centered": centered,
        }  # fmt: skip
        super().__init__(params, options)

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        """Averages, quotient, momentum, step."""
        s, alpha = self.state[p], group["alpha"]
        if not s:
            s |= {name: torch.zeros_like(p) for name in ("square", "mean", "b")}
        s["square"].mul_(alpha).addcmul_(d, d, value=1 - alpha)
        s["mean"].mul_(alpha).add_(d, alpha=1 - alpha)
        s["b"].mul_(group["momentum"]).add_(d / self.root(s, group))
        p.sub_(group["lr"] * s["b"])

    def root(self, s: dict[str, Tensor], group: Group) -> Tensor:
        """What is divided by; no less than float32, where 1e-8 is a number."""
        spread = s["square"] - s["mean"] ** 2 if group["centered"] else s["square"]
        full = spread.to(torch.promote_types(spread.dtype, torch.float32))
        return full.sqrt() + group["eps"]


@faulty("class-squares-forget-centre", "with a momentum, the mean is not taken off",
        twin=RMSprop)  # fmt: skip
class _ForgetsCentre(RMSprop):
    def root(self, s: dict[str, Tensor], group: Group) -> Tensor:
        return super().root(s, {**group, "centered": group["centered"] and not group["momentum"]})


class Adagrad(Hooked):
    """The root of a sum of squares, from a start of each group's own, under a falling lr."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        options = {
            "lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay, "eps": eps,
            "initial_accumulator_value": initial_accumulator_value,
        }  # fmt: skip
        super().__init__(params, options)

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        """Sum, quotient, step; no less than float32, where 1e-10 is a number."""
        s = self.state[p]
        if not s:
            full = torch.promote_types(p.dtype, torch.float32)
            s["sum"] = torch.full_like(p, group["initial_accumulator_value"], dtype=full)
            s["t"] = 0
        s["sum"].addcmul_(d, d)
        lr = group["lr"] / (1 + self.age(s) * group["lr_decay"])
        p.sub_(lr * d / (s["sum"].sqrt() + group["eps"]))
        s["t"] += 1

    def age(self, s: dict[str, Any]) -> int:
        """Steps before this one."""
        return int(s["t"])


@faulty("class-decay-counts-ahead", "the step size's decay counts the step that is taken",
        twin=Adagrad)  # fmt: skip
class _CountsAhead(Adagrad):
    def age(self, s: dict[str, Any]) -> int:
        return super().age(s) + 1


class Adadelta(Hooked):
    """Zeiler 2012, Alg. 1: a step in units of the steps before it."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay})

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        """Averages of squares, of the gradients and of the steps; no less than float32."""
        s, rho, eps = self.state[p], group["rho"], group["eps"]
        if not s:
            full = torch.promote_types(p.dtype, torch.float32)
            s |= {name: torch.zeros_like(p, dtype=full) for name in ("squares", "moves")}
        s["squares"].mul_(rho).addcmul_(d, d, value=1 - rho)
        step = ((s["moves"] + eps) / (s["squares"] + eps)).sqrt() * d
        kept = self.kept(d, step)
        s["moves"].mul_(rho).addcmul_(kept, kept, value=1 - rho)
        p.sub_(group["lr"] * step)

    def kept(self, d: Tensor, step: Tensor) -> Tensor:
        """Whose squares are averaged beside the gradient's."""
        return step


@faulty("class-moves-of-gradients", "the steps' average is of gradients", twin=Adadelta)
class _MovesOfGradients(Adadelta):
    def kept(self, d: Tensor, step: Tensor) -> Tensor:
        return d
