"""A small network with real gradients: a kernel, biases, a matrix, a frozen scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from limitpoint.laws.field import STEPS
from limitpoint.problems.randomness import generator


@dataclass(frozen=True, eq=False)
class Network:
    """tanh(conv(x) * scale) -> linear -> cross-entropy, on a dozen images of 4 x 4.

    Args:
        images: (n, 1, 4, 4), float64.
        labels: (n,).
        start: all entries.
        shapes: kernel, its bias, a frozen scale, matrix, its bias.
    """

    images: Tensor
    labels: Tensor
    start: Tensor
    shapes: tuple[tuple[int, ...], ...] = ((3, 1, 3, 3), (3,), (3, 1, 1), (4, 12), (4,))
    frozen: tuple[int, ...] = (2,)
    steps: int = STEPS

    def split(self, entries: Tensor) -> list[Tensor]:
        """Entries as the tensors' shapes."""
        parts = torch.split(entries, [int(np.prod(shape)) for shape in self.shapes])
        return [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def value(self, t: int, tensors: Sequence[Tensor]) -> Tensor:
        """The loss, the same at each step."""
        kernel, bias, scale, matrix, offset = tensors
        hidden = torch.tanh(functional.conv2d(self.images, kernel, bias) * scale).flatten(1)
        return functional.cross_entropy(functional.linear(hidden, matrix, offset), self.labels)

    def gradients(self, t: int, tensors: Sequence[Tensor]) -> list[Tensor]:
        """By autograd; zeros for what is frozen."""
        live = [x.detach().requires_grad_(k not in self.frozen) for k, x in enumerate(tensors)]
        with torch.enable_grad():
            loss = self.value(t, live)
        found = iter(torch.autograd.grad(loss, [x for x in live if x.requires_grad]))
        return [next(found) if x.requires_grad else torch.zeros_like(x) for x in live]

    def moved(self, start: Tensor) -> Network:
        """The same from another start."""
        return replace(self, start=start)


def network(seed: int) -> Network:
    """Images and start from a seed."""
    numbers = generator("laws-network", seed)
    images = torch.from_numpy(numbers.normal(size=(12, 1, 4, 4)))
    labels = torch.from_numpy(numbers.integers(0, 4, 12))
    sizes = sum(int(np.prod(shape)) for shape in Network.shapes)
    return Network(images, labels, torch.from_numpy(numbers.normal(size=sizes) / 2))
