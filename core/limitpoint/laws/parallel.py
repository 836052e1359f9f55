"""Training in two processes, each with half of the images: DistributedDataParallel, fully_shard."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from limitpoint.errors import Inconclusive, NotApplicable, SubjectFailed
from limitpoint.laws.implementation import Implementation
from limitpoint.laws.network import Network
from limitpoint.laws.structure import near
from limitpoint.laws.training import Objective, flat
from limitpoint.optimizers.rule import Arrays
from limitpoint.subjects import together

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
        self._models: list[Any] = []
        self._asked: list[int] = []

    def value(self, t: int, tensors: Sequence[Tensor]) -> Tensor:
        """The loss on the share; its backward waits for the other processes."""
        return functional.cross_entropy(self._model(tensors)(), self.net.labels)

    def sharded(self, tensors: list[nn.Parameter]) -> list[nn.Parameter]:
        """Some rows of each tensor, as FSDP2 leaves them to this process.

        Raises:
            NotApplicable: it cannot be done on this machine.
        """
        model = _Model(self.net, tensors)
        try:
            from torch.distributed.device_mesh import init_device_mesh
            from torch.distributed.fsdp import fully_shard

            self._models.append(fully_shard(model, mesh=init_device_mesh("cpu", (PROCESSES,))))
        except (ImportError, RuntimeError) as exc:
            why = str(exc).splitlines()[0]
            raise NotApplicable(f"hypothesis not met: fully_shard on the CPU ({why})") from exc
        return list(model.tensors)

    def _model(self, tensors: Sequence[Tensor]) -> Any:
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
    return hasattr(os, "fork") and distributed.is_available() and not optimizer.is_pure


def steady(optimizer: Implementation, net: Network) -> bool:
    """Whether rounding of a gradient, summed in another order, moves its steps by rounding."""
    reordered = net.part(torch.arange(len(net.images)).roll(5))
    return near(optimizer.follow(reordered), optimizer.follow(net))


def half(net: Network, rank: int) -> Network:
    """Every `PROCESSES`-th image, without the other processes."""
    return net.part(slice(rank, None, PROCESSES))


class Replica(NamedTuple):
    """What one process saw.

    Args:
        path: its iterates, float64 (steps + 1, entries).
        ascent: where the second gradient of the first step was taken, less where the first was,
            (entries,); zeros where a step takes another number of them.
        kept: how many tensors of a parameter's shape its state has.
    """

    path: Tensor
    ascent: Tensor
    kept: Tensor


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

    try:
        return _each(
            lambda k: trained(optimizer, Share(half(net, k), own_ascent=own_ascent)), Replica
        )
    except SubjectFailed as failure:
        if "gloo" not in str(failure).lower():
            raise
        raise Inconclusive(f"could not be run on gloo: it {failure}") from failure


def shards(optimizer: Implementation, net: Network) -> list[Replica]:
    """A whole training in each process, where each has some rows of each tensor (FSDP2).

    Raises:
        NotApplicable: there is no such group on this machine, or it raised.
    """

    def work(rank: int) -> Replica:
        share = Share(half(net, rank), own_ascent=False)
        return trained(optimizer, share, held=share.sharded)

    try:
        return _each(work, Replica)
    except SubjectFailed as failure:
        raise NotApplicable(
            f"hypothesis not met: its operations are ones of sharded tensors (it {failure})"
        ) from failure


class Dealt(NamedTuple):
    """What a process saw that steps some of the tensors.

    Args:
        path: the iterates, float64 (steps + 1, entries).
        resumed: those of two trainings, with a checkpoint between them.
        own: which tensors it steps, bool (tensors,).
    """

    path: Tensor
    resumed: Tensor
    own: Tensor


def dealt(optimizer: Implementation, net: Network, middle: int) -> list[Dealt]:
    """A whole training in each process, by ZeroRedundancyOptimizer.

    Args:
        optimizer: whose.
        net: of all images.
        middle: the step before which both save and resume.

    Raises:
        NotApplicable: there is no such group on this machine, or it raised.
    """
    with warnings.catch_warnings(action="ignore"):  # torch.jit's, of torch itself
        from torch.distributed.optim import ZeroRedundancyOptimizer

    kind: Any = optimizer.constructor  # a factory will do
    made = partial(ZeroRedundancyOptimizer, optimizer_class=kind)
    # Its own step's closure may be left out: whoever needs one is given it all the same.
    zero = replace(optimizer, constructor=made, insists=optimizer.train(net).needs_closure)

    def work(rank: int) -> Dealt:
        share = half(net, rank)
        training = zero.train(Share(share, own_ascent=False)).go(middle)
        inner = training.optimizer.optim
        mine = {id(p) for group in inner.param_groups for p in group["params"]}
        for k in range(PROCESSES):
            training.call(partial(training.optimizer.consolidate_state_dict, to=k))
            if k == rank:
                saved = training.saved()
        before = training.path
        fresh = zero.train(Share(share.moved(before[-1]), own_ascent=False))
        fresh.call(lambda: fresh.optimizer.load_state_dict(saved))
        after = fresh.go(net.steps - middle).path
        return Dealt(
            training.go(net.steps - middle).path,
            torch.cat([before, after[1:]]),
            torch.tensor([id(p) in mine for p in training.parameters]),
        )

    try:
        return _each(work, Dealt)
    except SubjectFailed as failure:
        raise NotApplicable(
            f"hypothesis not met: ZeroRedundancyOptimizer takes it (it {failure})"
        ) from failure


def side_by_side(optimizer: Implementation, net: Objective, parts: Sequence[Tensor]) -> Tensor:
    """The iterates of one process with an optimizer for each part of the tensors.

    Args:
        optimizer: whose.
        net: what is trained on.
        parts: of each, which tensors it steps, bool (tensors,).
    """

    def made(parameters: list[nn.Parameter], **options: Any) -> _All:
        chosen = ([p for p, own in zip(parameters, part, strict=True) if own] for part in parts)
        return _All(parameters, [optimizer.constructor(one, **options) for one in chosen])

    insists = optimizer.train(net).needs_closure
    return replace(optimizer, constructor=made, insists=insists).follow(net)


class _All(NamedTuple):
    """Optimizers that step one after another."""

    parameters: list[nn.Parameter]
    optimizers: list[Any]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """The closure is called once, before anybody has moved; each is handed what it left."""
        if closure is None:
            for each in self.optimizers:
                each.step()
            return None
        loss = closure()
        found = [None if p.grad is None else p.grad.clone() for p in self.parameters]

        def again() -> Any:
            for p, g in zip(self.parameters, found, strict=True):
                p.grad = g
            return loss

        for each in self.optimizers:
            each.step(again)
        return loss


Seen = TypeVar("Seen", Replica, Dealt)


def _each(work: Callable[[int], Seen], kind: type[Seen]) -> list[Seen]:
    def packed(rank: int) -> Arrays:
        return {name: x.numpy() for name, x in work(rank)._asdict().items()}

    found = together(packed, PROCESSES)
    return [kind(**{k: torch.from_numpy(x) for k, x in each.items()}) for each in found]


def trained(optimizer: Implementation, net: Objective, **how: Any) -> Replica:
    """A whole training in this process."""
    training = optimizer.train(net, **how).go(1)
    points = [flat(point) for point in training.points]
    ascent = points[1] - points[0] if len(points) == 2 else torch.zeros_like(points[0])
    path = training.go(net.steps - 1).path
    return Replica(path, ascent, torch.tensor(len(training.state())))
