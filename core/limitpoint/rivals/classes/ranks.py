"""Faults that only show where several processes train: with one, each of these is right."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed

from limitpoint.rivals._registry import faulty
from limitpoint.rivals.classes import right
from limitpoint.rivals.classes.blocks import Lamb, share
from limitpoint.rivals.classes.right import Group
from limitpoint.rivals.classes.sam import SAM


def place() -> tuple[int, int]:
    """Rank, and number of processes."""
    if not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def summed(x: Tensor) -> Tensor:
    """The sum over all processes."""
    found = x.clone()
    if place()[1] > 1:
        distributed.all_reduce(found)
    return found


@faulty("class-sums-again", "gradients that DistributedDataParallel has averaged are summed over "
        "the processes", twin=right.SGD)  # fmt: skip
class _SumsAgain(right.SGD):
    def gradient(self, p: Tensor, group: Group) -> Tensor:
        return summed(super().gradient(p, group))


@faulty("class-keeps-its-share", "each process updates its share of the tensors and keeps it",
        twin=right.Adam)  # fmt: skip
class _KeepsItsShare(right.Adam):
    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        rank, processes = place()
        if [id(q) for q in group["params"]].index(id(p)) % processes == rank:
            super().apply(p, d, group)


class Dealing(right.SGD):
    """Each process steps every so many-th tensor of a group, and sends it to the others."""

    def apply(self, p: Tensor, d: Tensor, group: Group) -> None:
        """A step if it is this process's turn, and what came of it to all."""
        rank, processes = place()
        trained = [id(q) for q in group["params"] if q.grad is not None]
        index = trained.index(id(p))
        if index % processes == rank:
            super().apply(p, d, group)
        if processes > 1 and self.is_sent(index, len(trained) // processes * processes):
            distributed.broadcast(p, index % processes)

    def is_sent(self, index: int, rest: int) -> bool:
        """Whether a tensor is; those from `rest` on make no whole round."""
        return True


@faulty("class-rest-not-sent", "each process steps every so many-th tensor and sends it to the "
        "others, but not those that make no whole round", twin=Dealing)  # fmt: skip
class _RestNotSent(Dealing):
    def is_sent(self, index: int, rest: int) -> bool:
        return index < rest


@faulty("class-counts-on-rank-0", "the step's number is counted in the first process alone",
        twin=right.Adam)  # fmt: skip
class _CountsOnRank0(right.Adam):
    def tick(self, s: dict[str, Any]) -> int:
        return super().tick(s) if place()[0] == 0 else 1


@faulty("class-lamb-of-all-ranks", "the square of the weights' norm is summed over processes that "
        "all have the same weights", twin=Lamb)  # fmt: skip
class _OfAllRanks(Lamb):
    def ratio(self, p: Tensor, u: Tensor, r: Tensor, d: Tensor) -> Tensor:
        return share(summed(p.square().sum()).sqrt(), u.norm())


@faulty("class-sam-climb-subtracted", "the perturbation is subtracted: where each process has its "
        "own, rounding parts them", twin=SAM)  # fmt: skip
class _ClimbSubtracted(SAM):
    def climb(self, p: Tensor, group: Group, factor: Tensor | float) -> Tensor:
        found = super().climb(p, group, factor)
        self.added: list[tuple[Tensor, Tensor]] = [*getattr(self, "added", ()), (p, found)]
        return found

    def restore(self) -> None:
        for p, climb in self.added:
            p.sub_(climb)
        self.added = []


@faulty("class-sam-mean-norm", "each process climbs along its own gradient, over the norm that all "
        "have in the mean", twin=SAM)  # fmt: skip
class _MeanNorm(SAM):
    def factor(self) -> Tensor | float:
        own = super().factor()
        return summed(torch.as_tensor(own)) / place()[1]
