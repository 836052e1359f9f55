"""A network of any width on one example, started as muP says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from limitpoint.problems.problem import Oracle
from limitpoint.problems.randomness import generator, tensor


class Layer(NamedTuple):
    """A layer's entries among all.

    Args:
        size: how many.
        fan_in: how much wider its input is than where the step size was tuned; one if it is fixed.
        fan_out: the same of its output.
    """

    size: int
    fan_in: float
    fan_out: float


@dataclass(frozen=True, eq=False)
class WideNetwork(Oracle):
    """L(w) = (f - 1)^2 / 2 with f = <w_3, tanh(W_2 tanh(W_1 x))>; w is all of them, flat.

    Args:
        x: the input, shape (d,).
        width: n, of both hidden layers.
        start: shape (nd + n^2 + n,).
    """

    x: Tensor
    width: int
    start: Tensor

    @property
    def ndim(self) -> int:
        """Trailing dimensions of one parameter."""
        return 1

    def layers(self, base: int) -> list[Layer]:
        """Its tensors, and how much wider it is than where a step size was tuned.

        Args:
            base: the width there.
        """
        n, m = self.width, self.width / base
        return [Layer(n * len(self.x), 1.0, m), Layer(n**2, m, m), Layer(n, m, 1.0)]

    def tensors(self, w: Tensor) -> list[Tensor]:
        """W_1 (*batch, n, d), W_2 (*batch, n, n) and w_3 as a row (*batch, 1, n)."""
        n, d = self.width, len(self.x)
        shapes = ((n, d), (n, n), (1, n))
        parts = torch.split(w, [rows * columns for rows, columns in shapes], -1)
        return [p.reshape(*w.shape[:-1], *s) for p, s in zip(parts, shapes, strict=True)]

    def signals(self, w: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """What each layer is given, and what it makes of that, shapes (*batch, its width)."""
        given, made = [self.x.expand(*w.shape[:-1], -1)], []
        for matrix in self.tensors(w):
            made.append((matrix @ given[-1].unsqueeze(-1)).squeeze(-1))
            given.append(made[-1].tanh())
        return given[:-1], made

    def value(self, w: Tensor) -> Tensor:
        """(f - 1)^2 / 2."""
        return (self.signals(w)[1][-1].squeeze(-1) - 1) ** 2 / 2

    def grad(self, w: Tensor) -> Tensor:
        """By the chain rule, layer by layer from the last."""
        given, made = self.signals(w)
        back, found = made[-1] - 1, []
        for layer in (2, 1, 0):
            found.append((back.unsqueeze(-1) * given[layer].unsqueeze(-2)).flatten(-2))
            back = (back.unsqueeze(-2) @ self.tensors(w)[layer]).squeeze(-2)
            back = back * (1 - given[layer] ** 2)
        return torch.cat(found[::-1], -1)


def wide_network(seed: int, width: int, d: int = 8) -> WideNetwork:
    """Gaussian weights of variance 1 / fan_in, the readout's 1 / fan_in^2 (Yang et al. 2022).

    Args:
        seed: of input and start.
        width: of the hidden layers.
        d: inputs.
    """
    rng = generator("wide-network", seed)
    x = rng.standard_normal(d)
    shapes = ((width * d, d**-0.5), (width**2, width**-0.5), (width, 1 / width))
    start = torch.cat([tensor(scale * rng.standard_normal(size)) for size, scale in shapes])
    return WideNetwork(tensor(x), width, start)
