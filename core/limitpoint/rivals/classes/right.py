"""Right classes of torch's kind, with hooks: each fault is one hook away from its right twin."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

Group = dict[str, Any]
Closure = Callable[[], Tensor]


class Hooked(torch.optim.Optimizer):
    """The loop of `torch.optim`: for each parameter with a gradient, decay and apply."""

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor | None:  # type: ignore[override]
        """One step; the closure's loss."""
        loss = self.call(closure)
        for group in self.param_groups:
            self.begin(group)
            for p in group["params"]:
                if p.grad is not None:
                    self.apply(p, self.decayed(p, self.gradient(p, group), group), group)
        return loss

    def call(self, closure: Closure | None) -> Tensor | None:
        """The closure's loss, with gradients."""
        if closure is None:
            return None
        with torch.enable_grad():
            return closure()

    def begin(self, group: Group) -> None:
        """Before a group's parameters."""

    def gradient(self, p: Tensor, group: Group) -> Tensor:
        """What is descended along."""
        assert p.grad is not None
        return -p.grad if group.get("maximize") else p.grad

    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        """The decay: coupled, added to the gradient."""
        return d.add(p, alpha=group["weight_decay"]) if group["weight_decay"] else d

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        """The step of one parameter."""
        raise NotImplementedError


class Adam(Hooked):
    """Adam with an epsilon beside the root (Kingma and Ba 2015) and the maximum of AMSGrad."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        amsgrad: bool = False,
        maximize: bool = False,
        foreach: bool = False,
    ) -> None:
        options = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "amsgrad": amsgrad, "maximize": maximize, "foreach": foreach,
        }  # fmt: skip
        super().__init__(params, options)

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        """Averages and the step."""
        s = self.state[p]
        if not s:
            s |= self.fresh(p)
        t = self.tick(s)
        self.averages(s, d, group)
        (self.together if group["foreach"] else self.move)(p, s, t, d, group)

    def fresh(self, p: Tensor) -> dict[str, Any]:
        """The state before the first step."""
        return {"t": 0, "m": torch.zeros_like(p), "v": torch.zeros_like(p),
                "top": torch.zeros_like(p)}  # fmt: skip

    def tick(self, s: dict[str, Any]) -> int:
        """The number of this step, from 1."""
        s["t"] += 1
        return int(s["t"])

    def averages(self, s: dict[str, Any], d: Tensor, group: Group) -> None:
        """Both moments."""
        beta1, beta2 = group["betas"]
        s["m"].mul_(beta1).add_(d, alpha=1 - beta1)
        s["v"].mul_(beta2).addcmul_(d, d, value=1 - beta2)

    def second(self, s: dict[str, Any], group: Group) -> Tensor:
        """The second moment that is divided by."""
        if not group["amsgrad"]:
            return s["v"]
        torch.maximum(s["top"], s["v"], out=s["top"])
        return s["top"]

    def move(self, p: Tensor, s: dict[str, Any], t: int, d: Tensor, group: Group) -> None:
        """The step."""
        p.sub_((group["lr"] * self.update(s, t, d, group)).to(p.dtype))

    def together(self, p: Tensor, s: dict[str, Any], t: int, d: Tensor, group: Group) -> None:
        """The same on the path of lists."""
        self.move(p, s, t, d, group)

    def update(self, s: dict[str, Any], t: int, d: Tensor, group: Group) -> Tensor:
        """The step over -lr."""
        beta1, beta2 = group["betas"]
        m, v = self.moments(s, group)
        return m / (1 - beta1**t) / self.root(v, 1 - beta2**t, group["eps"])

    def moments(self, s: dict[str, Any], group: Group) -> tuple[Tensor, Tensor]:
        """What is divided; halves in float32, where 1e-8 is a number."""
        m, v = s["m"], self.second(s, group)
        half = v.dtype in (torch.float16, torch.bfloat16)
        return (m.float(), v.float()) if half else (m, v)

    def root(self, v: Tensor, correction: float, eps: float) -> Tensor:
        """What it is divided by."""
        return (v / correction).sqrt() + eps


class AdamW(Adam):
    """Adam with decoupled decay (Loshchilov and Hutter 2019)."""

    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        """The decay, before the step and beside it."""
        p.mul_(1 - group["lr"] * group["weight_decay"])
        return d


class SGD(Hooked):
    """The heavy ball as `torch.optim.SGD` has it."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = False,
        maximize: bool = False,
    ) -> None:
        options = {
            "lr": lr, "momentum": momentum, "dampening": dampening,
            "weight_decay": weight_decay, "nesterov": nesterov, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, options)

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        """The buffer, what is made of it, the step."""
        if group["momentum"]:
            d = self.look(d, self.buffer(p, d, group), group)
        p.sub_(group["lr"] * d)

    def buffer(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        """The buffer after one more gradient."""
        s = self.state[p]
        if "b" not in s:
            s["b"] = self.first(d, group)
        else:
            s["b"].mul_(group["momentum"]).add_(d, alpha=1 - group["dampening"])
        return s["b"]

    def first(self, d: Tensor, group: Group) -> Tensor:
        """The first buffer: the gradient, not dampened."""
        return d.clone()

    def look(self, d: Tensor, b: Tensor, group: Group) -> Tensor:
        """The buffer, or Nesterov's look ahead of it."""
        return d + group["momentum"] * b if group["nesterov"] else b


class Averaged(Hooked):
    """What steps along something made of an average of gradients, with decoupled decay."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        options = {
            "lr": lr, "momentum": momentum, "weight_decay": weight_decay, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, options)

    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        """The decay, before the step and beside it."""
        p.mul_(1 - group["lr"] * group["weight_decay"])
        return d

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        """The average and the step."""
        b = self.average(p, group)
        b.mul_(group["momentum"]).add_(d, alpha=1 - group["momentum"])
        p.sub_(group["lr"] * self.direction(p, b))

    def average(self, p: Tensor, group: Group) -> Tensor:
        """The average so far."""
        s = self.state[p]
        if "b" not in s:
            s["b"] = torch.zeros_like(p)
        b: Tensor = s["b"]
        return b

    def direction(self, p: Tensor, b: Tensor) -> Tensor:
        """What is made of the average."""
        raise NotImplementedError


class Signum(Averaged):
    """The sign of an average (Bernstein et al. 2018)."""

    def direction(self, p: Tensor, b: Tensor) -> Tensor:
        """The sign."""
        return b.sign()


class Muon(Averaged):
    """An average, orthogonalised by its singular vectors; a kernel is the matrix (out, rest)."""

    def direction(self, p: Tensor, b: Tensor) -> Tensor:
        """U V^T, scaled by the matrix's shape; what is no matrix is one row."""
        m = self.matrix(b)
        u, _, v = torch.linalg.svd(m.double(), full_matrices=False)
        return (self.scale(p, m) * (u @ v)).reshape(p.shape).to(p.dtype)

    def matrix(self, b: Tensor) -> Tensor:
        """The matrix that is meant."""
        return b.reshape(1, -1) if b.ndim < 2 else b.flatten(1)

    def scale(self, p: Tensor, m: Tensor) -> float:
        """Of the step."""
        return float(max(1.0, m.size(-2) / m.size(-1)) ** 0.5)


class Lion(Hooked):
    """Lion (Chen et al. 2023): the sign of one average, the memory of another."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        options = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, options)

    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        """The decay, before the step and beside it."""
        p.mul_(1 - group["lr"] * group["weight_decay"])
        return d

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        """The sign, then the memory."""
        beta1, beta2 = group["betas"]
        s = self.state[p]
        if "m" not in s:
            s["m"] = torch.zeros_like(p)
        p.sub_(group["lr"] * (beta1 * s["m"] + (1 - beta1) * d).sign())
        s["m"].mul_(beta2).add_(d, alpha=1 - beta2)
