"""What the laws about torch's contract look at: gradients with graphs, tiled tensors, states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from limitpoint.errors import SubjectFailed
from limitpoint.laws.field import Field
from limitpoint.laws.implementation import Implementation
from limitpoint.laws.training import Training

#: The norm of 5000 entries of this size is below .1.
SMALL = 2.0**-10


def does(what: str, run: Callable[[], Tensor]) -> Tensor:
    """What comes of it.

    Raises:
        SubjectFailed: it raised; with what it was that it was given.
    """
    try:
        return run()
    except SubjectFailed as exc:
        raise SubjectFailed(f"{what}: it {exc}") from exc


def singly(usual: Implementation) -> Implementation:
    """Handed groups of one tensor that is in no list."""
    make = usual.constructor

    @wraps(make)
    def constructor(groups: list[dict[str, Any]], **options: Any) -> Any:
        return make([{**group, "params": group["params"][0]} for group in groups], **options)

    return replace(usual, constructor=constructor)


@dataclass(frozen=True, eq=False)
class Graphed(Field):
    """The same gradients with a graph, as `backward(create_graph=True)` leaves them."""

    def gradients(self, t: int, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Plus w - w."""
        found = super().gradients(t, tensors)
        return [g + (w - w.detach()) for g, w in zip(found, tensors, strict=True)]


def of_rank_one(problem: Field) -> Field:
    """Given gradients of one tensor, that fall: random signs, sizes a product over its sides.

    Weights and gradients are so small that no norm of a large tensor's is where it would be cut:
    at 1, or at LAMB's 10.
    """
    sizes = torch.ones((), dtype=torch.float64)
    for k, side in enumerate(problem.shapes[0]):
        sizes = sizes.unsqueeze(-1) * torch.linspace(1, 2 + k, side, dtype=torch.float64)
    given = problem.descending(SMALL * problem.c.sign() * sizes.reshape(-1)).fading()
    return given.moved(SMALL * problem.start)


def tiled(problem: Field, times: int) -> tuple[Field, Tensor]:
    """One tensor so many times along each side; and which entry each of its entries is."""
    shape = problem.shapes[0]
    index = torch.arange(problem.ndim).reshape(shape).repeat(*[times] * len(shape))
    return problem.part(index.reshape(-1), tuple(index.shape)), index.reshape(-1)


def tensors_in(kept: object) -> Iterator[Tensor]:
    """All of them, at whatever depth."""
    if isinstance(kept, Tensor):
        yield kept
    elif isinstance(kept, dict | list | tuple):
        for one in kept.values() if isinstance(kept, dict) else kept:
            yield from tensors_in(one)


def counts(training: Training, steps: int) -> dict[tuple[int, str], Tensor]:
    """Tensors of one number that are kept and are the number of steps; see `Training.kept`."""
    kept = training.kept()
    return {key: x for key, x in kept.items() if x.numel() == 1 and float(x) == steps}
