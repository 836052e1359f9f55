"""What the laws about torch's contract look at: complex and sparse gradients, tiled tensors,
states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

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


def seeing(
    usual: Implementation,
    gradient: Callable[[Tensor], Tensor],
    parameter: Callable[[Tensor], Tensor] = torch.clone,
    back: Callable[[Tensor], Tensor] = torch.clone,
) -> Implementation:
    """Handed parameters and gradients of another kind, such as complex ones; see `IN_COMPLEX`.

    Args:
        usual: handed a plain list.
        gradient: of the kind that is seen, by the one that there is.
        parameter: the same of parameters.
        back: a parameter as it was, by the one that was seen.
    """
    make = usual.constructor

    @wraps(make)
    def constructor(parameters: list[nn.Parameter], **options: Any) -> Any:
        seen = [nn.Parameter(parameter(p.detach())) for p in parameters]
        inner = make(seen, **options)
        getattr(inner, "train", bool)()  # as a training does, where there are modes

        def step() -> None:
            for p, own in zip(parameters, seen, strict=True):
                own.grad = gradient(p.grad) if p.grad is not None else None
            inner.step()
            for p, own in zip(parameters, seen, strict=True):
                p.data.copy_(back(own.detach()))

        return SimpleNamespace(step=step)

    return replace(usual, constructor=constructor)


#: Each number is two entries along the last side.
IN_COMPLEX = {
    "gradient": torch.view_as_complex, "parameter": torch.view_as_complex,
    "back": torch.view_as_real,
}  # fmt: skip


def in_rows(g: Tensor, *, twice: bool) -> Tensor:
    """A sparse gradient with every row; in two parts that are to be added, which is exact."""
    rows = torch.arange(len(g)).unsqueeze(0)
    if not twice:
        return torch.sparse_coo_tensor(rows, g, g.shape, is_coalesced=True)
    return torch.sparse_coo_tensor(rows.repeat(1, 2), torch.cat([g / 4, g * 3 / 4]), g.shape)


@dataclass(frozen=True, eq=False)
class Strided(Field):
    """The same gradients, in memory by columns: as a transposed product leaves them."""

    def gradients(self, t: int, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Of matrices."""
        return [g.mT.contiguous().mT for g in super().gradients(t, tensors)]


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


def kept_an_entry(training: Training) -> float:
    """Numbers in the tensors that an optimizer holds, its parameters among them, an entry."""
    optimizer = training.optimizer  # a wrapper may have its state by a property
    kept = [getattr(optimizer, name, {}) for name in ("__dict__", "state")]
    held = {id(x): x for x in tensors_in(kept)}
    entries = sum(p.numel() for p in training.parameters)
    return sum(x.numel() for x in held.values()) / entries


def counts(training: Training, steps: int) -> dict[tuple[int, str], Tensor]:
    """Tensors of one number that are kept and are the number of steps; see `Training.kept`."""
    kept = training.kept()
    return {key: x for key, x in kept.items() if x.numel() == 1 and float(x) == steps}
