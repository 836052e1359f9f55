"""Steps in units of a tensor's own norm, and squares by rows and columns: right, and wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from limitpoint.rivals._registry import faulty
from limitpoint.rivals.classes import right
from limitpoint.rivals.classes.right import Group, Hooked


def share(weights: Tensor, update: Tensor) -> Tensor:
    """The quotient of two norms; 1 where one of them is 0."""
    both = (weights > 0) & (update > 0)
    return torch.where(both, weights / update, torch.ones_like(weights))


class Lamb(right.Adam):
    """Adam's update with its decay, of the length of the tensor (You et al. 2020, Alg. 2)."""

    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        """The decay is a part of the update."""
        return d

    def move(self, p: Tensor, s: dict[str, Any], t: int, d: Tensor, group: Group) -> None:
        """The step."""
        r = self.update(s, t, d, group)
        u = r + group["weight_decay"] * p
        p.sub_((group["lr"] * self.ratio(p, u, r, d) * u).to(p.dtype))

    def ratio(self, p: Tensor, u: Tensor, r: Tensor, d: Tensor) -> Tensor:
        """Of the norms of weights and update."""
        return share(p.norm(), u.norm())


@faulty("class-lamb-upside-down", "the trust ratio is the update's norm over the weights'",
        twin=Lamb)  # fmt: skip
class _UpsideDown(Lamb):
    def ratio(self, p: Tensor, u: Tensor, r: Tensor, d: Tensor) -> Tensor:
        return share(u.norm(), p.norm())


@faulty("class-lamb-of-gradient", "the trust ratio is by the gradient's norm", twin=Lamb)
class _OfGradient(Lamb):
    def ratio(self, p: Tensor, u: Tensor, r: Tensor, d: Tensor) -> Tensor:
        return share(p.norm(), d.norm())


@faulty("class-lamb-without-decay", "the trust ratio is by the norm of the update without decay",
        twin=Lamb)  # fmt: skip
class _WithoutDecay(Lamb):
    def ratio(self, p: Tensor, u: Tensor, r: Tensor, d: Tensor) -> Tensor:
        return share(p.norm(), r.norm())


@faulty("class-lamb-by-rows", "norms are taken along the last side of a tensor", twin=Lamb)
class _ByRows(Lamb):
    def ratio(self, p: Tensor, u: Tensor, r: Tensor, d: Tensor) -> Tensor:
        return share(p.norm(dim=-1, keepdim=True), u.norm(dim=-1, keepdim=True))


@faulty("class-lamb-of-before", "a vector has the trust ratio of the matrix before it", twin=Lamb)
class _OfBefore(Lamb):
    last = torch.ones(())

    def ratio(self, p: Tensor, u: Tensor, r: Tensor, d: Tensor) -> Tensor:
        if p.ndim > 1:
            self.last = super().ratio(p, u, r, d)
        return self.last


@faulty("class-lamb-mixed-norms", "a mean over a norm: long tensors step less", twin=Lamb)
class _MixedNorms(Lamb):
    def ratio(self, p: Tensor, u: Tensor, r: Tensor, d: Tensor) -> Tensor:
        return share(p.square().mean().sqrt(), u.norm())


@faulty("class-lamb-squares", "the root is left out of both norms", twin=Lamb)
class _Squares(Lamb):
    def ratio(self, p: Tensor, u: Tensor, r: Tensor, d: Tensor) -> Tensor:
        return share(p.square().sum(), u.square().sum())


@faulty("class-lamb-of-all", "the weights' norm is that of the whole group", twin=Lamb)
class _OfAll(Lamb):
    def begin(self, group: Group) -> None:
        self.all = torch.cat([q.reshape(-1) for q in group["params"]]).norm()

    def ratio(self, p: Tensor, u: Tensor, r: Tensor, d: Tensor) -> Tensor:
        return share(self.all.to(p.dtype), u.norm())


@faulty("class-lamb-betas", "the averages have each other's beta", twin=Lamb)
class _Betas(Lamb):
    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        super().apply(p, d, {**group, "betas": tuple(reversed(group["betas"]))})


@faulty("class-lamb-corrected-late", "the bias is corrected after the norm was taken: the first "
        "step is ten times as long", twin=Lamb)  # fmt: skip
class _CorrectedLate(Lamb):
    def update(self, s: dict[str, Any], t: int, d: Tensor, group: Group) -> Tensor:
        m, v = self.moments(s, group)
        self.left = 1 - group["betas"][0] ** t
        return m / (v.sqrt() + group["eps"])

    def ratio(self, p: Tensor, u: Tensor, r: Tensor, d: Tensor) -> Tensor:
        return super().ratio(p, u, r, d) / self.left


class Lars(Hooked):
    """Each tensor steps by a share of its own norm (You et al. 2017), or by lr from a zero."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.1,
        weight_decay: float = 0.0,
        trust: float = 0.1,
        momentum: float = 0.0,
    ) -> None:
        options = {"lr": lr, "weight_decay": weight_decay, "trust": trust, "momentum": momentum}
        super().__init__(params, options)

    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        """The decay is a part of what is scaled."""
        return d

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        """The share, then the momentum, the step."""
        u = d + group["weight_decay"] * p
        ratio = self.ratio(p, d, group)
        b = self.state[p].setdefault("b", torch.zeros_like(p))
        b.mul_(group["momentum"])
        p.sub_(group["lr"] * self.direction(b, ratio, u))

    def direction(self, b: Tensor, ratio: Tensor, u: Tensor) -> Tensor:
        """The momentum of what was scaled."""
        return b.add_(ratio * u)

    def ratio(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        """Of the norms; 1 where one of them is 0."""
        weights, gradients = p.norm(), d.norm()
        both = (weights > 0) & (gradients > 0)
        found = group["trust"] * weights / (gradients + group["weight_decay"] * weights)
        return torch.where(both, found, torch.ones_like(weights))


@faulty("class-stays-at-zero", "a tensor that starts at zero never moves", twin=Lars)
class _StaysAtZero(Lars):
    def ratio(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        weights = p.norm()
        return group["trust"] * weights / (d.norm() + group["weight_decay"] * weights + 1e-12)


@faulty("class-lars-needs-decay", "without a decay the trust ratio is 1", twin=Lars)
class _NeedsDecay(Lars):
    def ratio(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        return super().ratio(p, d, group) if group["weight_decay"] else torch.ones(())


@faulty("class-lars-scales-history", "the whole momentum is scaled by the ratio of now", twin=Lars)
class _ScalesHistory(Lars):
    def direction(self, b: Tensor, ratio: Tensor, u: Tensor) -> Tensor:
        return ratio * b.add_(u)


class Adafactor(Hooked):
    """Squares by rows and columns, updates of a bounded size (Shazeer and Stern 2018, Alg. 4)."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        d: float = 1.0,
        weight_decay: float = 0.0,
    ) -> None:
        options = {"lr": lr, "beta2_decay": beta2_decay, "d": d, "weight_decay": weight_decay}
        super().__init__(params, options)

    def decayed(self, p: Tensor, d: Tensor, group: Group) -> Tensor:
        """The decay, before the step and beside it."""
        p.mul_(1 - group["lr"] * group["weight_decay"])
        return d

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        """The update in float32 at least, its size, the step relative to the weights."""
        s = self.state[p]
        full = torch.promote_types(p.dtype, torch.float32)
        if not s:
            sizes = (
                [(*p.shape[:-1], 1), (*p.shape[:-2], 1, p.shape[-1])] if p.ndim > 1 else [p.shape]
            )
            s["squares"] = [torch.zeros(size, dtype=full) for size in sizes]
            s |= {f"squares{k}": kept for k, kept in enumerate(s.pop("squares"))}
            s["t"] = 0
        s["t"] += 1
        self.average(s, d.to(full).square() + 1e-30, self.fresh(s["t"], group))
        u = d / self.root(s)
        u = u / self.clip(self.size(u), group["d"])
        p.sub_((group["lr"] * self.scale(p) * u).to(p.dtype))

    def fresh(self, t: int, group: Group) -> float:
        """The share of the new squares."""
        return float(t ** group["beta2_decay"])

    def average(self, s: dict[str, Any], squares: Tensor, new: float) -> None:
        """Rows, columns."""
        if "squares1" not in s:
            s["squares0"].lerp_(squares, new)
            return
        s["squares0"].lerp_(squares.mean(-1, keepdim=True), new)
        s["squares1"].lerp_(squares.mean(-2, keepdim=True), new)

    def root(self, s: dict[str, Any]) -> Tensor:
        """What is divided by."""
        if "squares1" not in s:
            return self.plain(s)
        rows, columns = s["squares0"], s["squares1"]
        return (rows / self.normaliser(rows) * columns).sqrt()

    def plain(self, s: dict[str, Any]) -> Tensor:
        """Of a vector."""
        kept: Tensor = s["squares0"]
        return kept.sqrt()

    def normaliser(self, rows: Tensor) -> Tensor:
        """The mean of all squares."""
        return rows.mean(-2, keepdim=True)

    def size(self, x: Tensor) -> Tensor:
        """The root mean square."""
        return x.square().mean().sqrt()

    def clip(self, size: Tensor, d: float) -> Tensor:
        """What an update is divided by."""
        return (size / d).clamp(min=1.0)

    def scale(self, p: Tensor) -> Tensor:
        """Of the weights, which a step is relative to."""
        return self.size(p).clamp(min=1e-3)


@faulty("class-factor-clips-upside-down", "small updates are made large, large ones stay",
        twin=Adafactor)  # fmt: skip
class _ClipsUpsideDown(Adafactor):
    def clip(self, size: Tensor, d: float) -> Tensor:
        return (size * d).clamp(max=1.0)


@faulty("class-factor-wrong-side", "rows are normalised along the side that is gone: columns alone "
        "are left", twin=Adafactor)  # fmt: skip
class _WrongSide(Adafactor):
    def normaliser(self, rows: Tensor) -> Tensor:
        return rows.mean(-1, keepdim=True)


@faulty("class-factor-not-normalised", "rows times columns, without the mean of both",
        twin=Adafactor)  # fmt: skip
class _NotNormalised(Adafactor):
    def normaliser(self, rows: Tensor) -> Tensor:
        return torch.ones_like(rows)


@faulty("class-factor-counts-ahead", "the second moment's decay is the next step's", twin=Adafactor)
class _FactorAhead(Adafactor):
    def fresh(self, t: int, group: Group) -> float:
        return super().fresh(t + 1, group)


@faulty("class-factor-norm", "a step is relative to the weights' norm, not their root mean square",
        twin=Adafactor)  # fmt: skip
class _Norm(Adafactor):
    def scale(self, p: Tensor) -> Tensor:
        return p.norm().clamp(min=1e-3)


@faulty("class-factor-forgets-clip", "matrices are not clipped, vectors are", twin=Adafactor)
class _ForgetsClip(Adafactor):
    def root(self, s: dict[str, Any]) -> Tensor:
        self.matrix = "squares1" in s
        return super().root(s)

    def clip(self, size: Tensor, d: float) -> Tensor:
        return super().clip(size, 1e30 if self.matrix else d)
