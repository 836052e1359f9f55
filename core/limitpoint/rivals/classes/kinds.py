"""Faults where gradients are of another kind: complex, or sparse."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limitpoint.rivals._registry import faulty
from limitpoint.rivals.classes import right
from limitpoint.rivals.classes.right import Group


class InPairs(right.Adam):
    """Adam to which a complex number is two real ones."""

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        """The step of the pairs, with the state of the complex tensor."""
        if not p.is_complex() or not self.pairs(group):
            return super().apply(p, d, group)
        real = torch.view_as_real(p)
        self.state[real] = self.state[p]
        super().apply(real, torch.view_as_real(d), group)
        del self.state[real]
        return None

    def pairs(self, group: Group) -> bool:
        """Whether complex numbers are seen as such."""
        return True


@faulty("class-complex-squared-in-lists", "the path of lists squares complex numbers",
        twin=InPairs)  # fmt: skip
class _ComplexSquared(InPairs):
    def pairs(self, group: Group) -> bool:
        return not group["foreach"]


class Rows(right.Hooked):
    """Adagrad that takes sparse gradients."""

    def __init__(self, params: Any, lr: float = 1e-2, eps: float = 1e-10) -> None:
        super().__init__(params, {"lr": lr, "eps": eps, "weight_decay": 0.0})

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        """Squares are added where there are any."""
        s = self.state[p]
        if not s:
            s["sum"] = torch.zeros_like(p)
        if d.is_sparse:
            d = self.added(d)
            places, d = d._indices()[0], d._values()
            s["sum"].index_add_(0, places, d * d)
            p.index_add_(0, places, -group["lr"] * d / self.root(s["sum"][places], group))
        else:
            s["sum"].addcmul_(d, d)
            p.sub_(group["lr"] * d / self.root(s["sum"], group))

    def root(self, squares: Tensor, group: Group) -> Tensor:
        """What is divided by; no less than float32, where 1e-10 is a number."""
        full = squares.to(torch.promote_types(squares.dtype, torch.float32))
        return full.sqrt() + group["eps"]

    def added(self, d: Tensor) -> Tensor:
        """With one value at a place."""
        return d.coalesce()


@faulty("class-squares-of-parts", "two values at one place of a sparse gradient are squared each",
        twin=Rows)  # fmt: skip
class _SquaresOfParts(Rows):
    def added(self, d: Tensor) -> Tensor:
        return d


@faulty("class-last-part-counts", "of two values at one place of a sparse gradient the last counts",
        twin=Rows)  # fmt: skip
class _LastPartCounts(Rows):
    def added(self, d: Tensor) -> Tensor:
        places, whole = d._indices()[0], torch.zeros_like(d.to_dense())
        whole[places] = d._values()
        return whole.to_sparse(1)
