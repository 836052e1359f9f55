"""Training in two processes, each with half of the images, by DistributedDataParallel."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from limitpoint.errors import Inconclusive, SubjectFailed
from limitpoint.laws.implementation import Implementation
from limitpoint.laws.network import Network
from limitpoint.laws.training import Objective
from limitpoint.optimizers.rule import Arrays
from limitpoint.subjects import Transformation, together

PROCESSES = 2


class _Model(nn.Module):
    """A network of tensors that are somebody's parameters."""

    def __init__(self, net: Network, tensors: Sequence[Tensor]) -> None:
        super().__init__()
        self.net, self.tensors = net, nn.ParameterList(tensors)

    def forward(self) -> Tensor:
        """The scores of the images."""
        return self.net.scores(list(self.tensors))


class Share:
    """A network on one process's images, whose gradients are the mean of all processes'.

    Args:
        net: on this process's images.
        own_ascent: of two gradients a step, the first is this process's own.
    """

    def __init__(self, net: Network, *, own_ascent: bool) -> None:
        self.net, self.own_ascent = net, own_ascent
        self.shapes, self.start, self.frozen = net.shapes, net.start, net.frozen
        self.steps, self.split = net.steps, net.split
        self._models: list[nn.parallel.DistributedDataParallel] = []
        self._asked: list[int] = []

    def value(self, t: int, tensors: Sequence[Tensor]) -> Tensor:
        """The loss on the share; its backward waits for the other processes."""
        return functional.cross_entropy(self._model(tensors)(), self.net.labels)

    def _model(self, tensors: Sequence[Tensor]) -> nn.parallel.DistributedDataParallel:
        if not self._models:
            self._models.append(nn.parallel.DistributedDataParallel(_Model(self.net, tensors)))
        return self._models[0]

    def gradients(self, t: int, tensors: Sequence[Tensor]) -> list[Tensor]:
        """By the loss's backward, which leaves what is in `.grad` as it was."""
        kept = [p.grad for p in tensors]
        for p in tensors:
            p.grad = None
        ascends = self.own_ascent and t not in self._asked
        self._asked.append(t)
        alone = self._model(tensors).no_sync() if ascends else nullcontext()
        with alone, torch.enable_grad():
            self.value(t, tensors).backward()  # type: ignore[no-untyped-call]
        found = [torch.zeros_like(p) if p.grad is None else p.grad for p in tensors]
        for p, g in zip(tensors, kept, strict=True):
            p.grad = g
        return found


def can_join(optimizer: Implementation) -> bool:
    """Whether forks of this process can be a group with it: optax would wait for jax's threads."""
    is_pure = isinstance(optimizer.constructor, Transformation)
    return hasattr(os, "fork") and distributed.is_available() and not is_pure


def half(net: Network, rank: int) -> Network:
    """Every `PROCESSES`-th image, without the other processes."""
    return net.part(slice(rank, None, PROCESSES))


class Replica(NamedTuple):
    """What one process saw.

    Args:
        path: its iterates, float64 (steps + 1, entries).
        ascent: where the second gradient of the first step was taken, less where the first was,
            (entries,); zeros where a step takes another number of them.
    """

    path: Tensor
    ascent: Tensor


def replicas(optimizer: Implementation, net: Network, *, own_ascent: bool = False) -> list[Replica]:
    """A whole training in each process.

    Args:
        optimizer: whose.
        net: of all images.
        own_ascent: see `Share`.

    Raises:
        Inconclusive: gloo has no such collective.
        NotApplicable: there is no such group on this machine.
        SubjectFailed: it raised.
    """

    def work(rank: int) -> Arrays:
        found = trained(optimizer, Share(half(net, rank), own_ascent=own_ascent))
        return {name: x.numpy() for name, x in found._asdict().items()}

    try:
        found = together(work, PROCESSES)
    except SubjectFailed as failure:
        if "gloo" not in str(failure).lower():
            raise
        raise Inconclusive(f"could not be run on gloo: it {failure}") from failure
    return [Replica(**{k: torch.from_numpy(x) for k, x in each.items()}) for each in found]


def trained(optimizer: Implementation, net: Objective) -> Replica:
    """A whole training in this process."""
    training = optimizer.train(net).go(1)
    points = [torch.cat([x.reshape(-1) for x in point]) for point in training.points]
    ascent = points[1] - points[0] if len(points) == 2 else torch.zeros_like(points[0])
    return Replica(training.go(net.steps - 1).path, ascent)
