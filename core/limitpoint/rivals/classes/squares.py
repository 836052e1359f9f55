"""RMSprop and a trust ratio: the right classes, and faults that people met in them."""

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


class Lars(Hooked):
    """Each tensor steps by a share of its own norm (You et al. 2017), or by lr from a zero."""

    def __init__(
        self, params: Iterable[Any], lr: float = 0.1, weight_decay: float = 0.0, trust: float = 0.1
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "trust": trust})

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        """The step."""
        p.sub_(group["lr"] * self.ratio(p.norm(), d.norm(), group["trust"]) * d)

    def ratio(self, weights: Tensor, gradients: Tensor, trust: float) -> Tensor:
        """Of the norms; 1 where one of them is 0."""
        both = (weights > 0) & (gradients > 0)
        return torch.where(both, trust * weights / gradients, torch.ones_like(weights))


@faulty("class-stays-at-zero", "a tensor that starts at zero never moves", twin=Lars)
class _StaysAtZero(Lars):
    def ratio(self, weights: Tensor, gradients: Tensor, trust: float) -> Tensor:
        return trust * weights / (gradients + 1e-12)
