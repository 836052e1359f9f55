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

    def scores(self, tensors: Sequence[Tensor]) -> Tensor:
        """What the network makes of the images, (n, 4)."""
        kernel, bias, scale, matrix, offset = tensors
        hidden = torch.tanh(functional.conv2d(self.images, kernel, bias) * scale).flatten(1)
        return functional.linear(hidden, matrix, offset)

    def value(self, t: int, tensors: Sequence[Tensor]) -> Tensor:
        """The loss, the same at each step."""
        return functional.cross_entropy(self.scores(tensors), self.labels)

    def gradients(self, t: int, tensors: Sequence[Tensor]) -> list[Tensor]:
        """By autograd; zeros for what is frozen."""
        live = [x.detach().requires_grad_(k not in self.frozen) for k, x in enumerate(tensors)]
        with torch.enable_grad():
            loss = self.value(t, live)
        found = iter(torch.autograd.grad(loss, [x for x in live if x.requires_grad]))
        return [next(found) if x.requires_grad else torch.zeros_like(x) for x in live]

    def part(self, chosen: slice | Tensor) -> Network:
        """The same with some of the images."""
        return replace(self, images=self.images[chosen], labels=self.labels[chosen])

    def moved(self, start: Tensor) -> Network:
        """The same from another start."""
        return replace(self, start=start)


@dataclass(frozen=True, eq=False)
class Matrices(Network):
    """tanh(x A^T) * (x B^T), two matrices of one shape: for what takes nothing else."""

    shapes: tuple[tuple[int, ...], ...] = ((4, 16), (4, 16))
    frozen: tuple[int, ...] = ()

    def scores(self, tensors: Sequence[Tensor]) -> Tensor:
        """What the network makes of the images, (n, 4)."""
        gate, matrix = tensors
        x = self.images.flatten(1)
        return torch.tanh(x @ gate.mT) * (x @ matrix.mT)


def network(seed: int, kind: type[Network] = Network) -> Network:
    """Images and start from a seed."""
    numbers = generator("laws-network", seed)
    images = torch.from_numpy(numbers.normal(size=(12, 1, 4, 4)))
    labels = torch.from_numpy(numbers.integers(0, 4, 12))
    sizes = sum(int(np.prod(shape)) for shape in kind.shapes)
    return kind(images, labels, torch.from_numpy(numbers.normal(size=sizes) / 2))
