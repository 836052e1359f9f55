"""Smooth problems of a dozen steps: their gradients are never near zero, and change their signs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from limitpoint.problems.randomness import generator

#: Steps of a law.
STEPS = 12
#: What the axes of a law's iterates are.
STEP = ("step", "entry")
#: Two matrices, as every class takes them.
PAIR = ((2, 3), (4, 2))


@dataclass(frozen=True, eq=False)
class Field:
    """L_t(w) = sum_i a_i u_i^2 / 2 + u_i^4 / 4 + c_ti w_i, u = w - b, over several tensors.

    Polynomials alone: an entry's gradient is bitwise the same wherever it is stored. c is in
    [1, 2] in size and of a random sign at each step, which the rest does not turn.

    Args:
        shapes: of the tensors.
        start: all entries, tensor after tensor, float64 (n,).
        a, b: (n,).
        c: (steps, n).
        scale: the loss is multiplied by it.
        decay: decay / 2 * ||w||^2 is added to the loss.
    """

    shapes: tuple[tuple[int, ...], ...]
    start: Tensor
    a: Tensor
    b: Tensor
    c: Tensor
    scale: float = 1.0
    decay: float = 0.0
    curved: bool = True

    def value(self, t: int, tensors: Sequence[Tensor]) -> Tensor:
        """The loss of step t, differentiable."""
        w = torch.cat([x.reshape(-1) for x in tensors])
        a, b, c = (part.to(w.dtype) for part in (self.a, self.b, self.c[t]))
        u = w - b
        bend = u * u * (a / 2 + u * u / 4) if self.curved else 0.0 * u
        return self.scale * (bend + c * w + self.decay / 2 * w * w).sum()

    def gradients(self, t: int, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The gradient of each tensor, in its own shape and dtype."""
        parts = zip(tensors, *(self.split(p) for p in (self.a, self.b, self.c[t])), strict=True)
        return [self._gradient(w.detach(), a, b, c).to(w.dtype) for w, a, b, c in parts]

    def _gradient(self, w: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        a, b, c = (part.reshape(w.shape).to(w.dtype) for part in (a, b, c))
        u = w - b
        bend = a * u + u * u * u if self.curved else 0.0
        g = bend + c
        return self.scale * (g + self.decay * w if self.decay else g)

    def split(self, entries: Tensor) -> list[Tensor]:
        """Entries as the tensors' shapes."""
        sizes = [int(np.prod(shape)) for shape in self.shapes]
        parts = torch.split(entries, sizes)
        return [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def part(self, chosen: slice | Tensor, *shapes: tuple[int, ...]) -> Field:
        """The problem of some of the entries, as tensors of the given shapes."""
        return replace(
            self, shapes=shapes, start=self.start[chosen], a=self.a[chosen], b=self.b[chosen],
            c=self.c[:, chosen],
        )  # fmt: skip

    def alone(self, k: int) -> Field:
        """The problem of tensor k."""
        first = sum(int(np.prod(shape)) for shape in self.shapes[:k])
        size = int(np.prod(self.shapes[k]))
        return self.part(slice(first, first + size), self.shapes[k])

    def shaped(self, *shapes: tuple[int, ...]) -> Field:
        """The same entries in tensors of other shapes."""
        return replace(self, shapes=shapes)

    def straight(self) -> Field:
        """The same with gradients that do not depend on w: c alone."""
        return replace(self, curved=False)

    def fading(self) -> Field:
        """The same, straight, with gradients that are halved at each step."""
        halves = 0.5 ** torch.arange(len(self.c), dtype=self.c.dtype)
        return replace(self.straight(), c=self.c * halves.unsqueeze(-1))

    def falling(self, size: float) -> Field:
        """The same, straight, with gradients of so many times the size, halved at each step."""
        return replace(self.fading(), scale=size)

    def flipped(self, signs: Tensor) -> Field:
        """The mirror image: each entry times its sign."""
        return replace(self, start=self.start * signs, b=self.b * signs, c=self.c * signs)

    def at_rest(self, rests: Tensor) -> Field:
        """The same where some entries, bool (n,), have no gradient at their start."""
        keeps = (~rests).to(self.a.dtype)
        b = torch.where(rests, self.start, self.b)
        return replace(self, a=self.a * keeps, b=b, c=self.c * keeps)

    def rounded(self, dtype: torch.dtype) -> Field:
        """The same, straight, with numbers that a dtype has."""
        return replace(
            self.straight(), start=self.start.to(dtype).double(), c=self.c.to(dtype).double()
        )

    def even(self) -> Field:
        """The same, straight, with one gradient for all entries."""
        return replace(self.straight(), c=self.c[:, :1].expand_as(self.c))

    def moved(self, start: Tensor) -> Field:
        """The same loss from another start."""
        return replace(self, start=start)

    def descending(self, gradients: Tensor) -> Field:
        """Straight, with these gradients (steps, n)."""
        return replace(self.straight(), c=gradients)

    def from_step(self, t: int) -> Field:
        """The problem whose first step is this one's step t."""
        return replace(self, c=self.c[t:])

    @property
    def frozen(self) -> tuple[int, ...]:
        """No tensor is."""
        return ()

    @property
    def steps(self) -> int:
        """As many as there are gradients."""
        return len(self.c)

    @property
    def ndim(self) -> int:
        """Number of entries."""
        return self.start.numel()


def field(seed: int, *shapes: tuple[int, ...], steps: int = STEPS) -> Field:
    """A problem of its own for each seed; `PAIR` by default."""
    numbers = generator("laws", seed)
    n = sum(int(np.prod(shape)) for shape in shapes or PAIR)
    size, sign = numbers.uniform(1, 2, (steps, n)), numbers.choice([-1.0, 1.0], (steps, n))
    arrays = (
        numbers.uniform(-1, 1, n), numbers.uniform(0.5, 1, n), numbers.uniform(-0.3, 0.3, n),
    )  # fmt: skip
    start, a, away = map(torch.from_numpy, arrays)
    return Field(shapes or PAIR, start, a, start + away, torch.from_numpy(size * sign))
