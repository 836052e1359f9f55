"""A torch.nn module as a function of one flat vector of parameters, many of them side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from limitpoint.deep.layers import Pass

#: Means and variances of the normalisations: a pair a layer, or a module's buffers.
Statistics = list[tuple[Tensor, Tensor]] | dict[str, Tensor]


class Network:
    """A classifier, its parameters in one vector.

    A `nn.Sequential` of the layers that `limitpoint.deep.layers` knows is evaluated in its stacked
    form; the copies of any other module one after the other.

    Args:
        module: plain torch.nn; the values of its own parameters are not used.
        autocast: dtype of the products inside, such as bfloat16, images with their channels last;
            None for that of the parameters.
    """

    def __init__(self, module: nn.Module, autocast: torch.dtype | None = None) -> None:
        self.module = module.requires_grad_(False)
        self.autocast = autocast
        named = list(module.named_parameters())
        self.names = [name for name, _ in named]
        self.shapes = [parameter.shape for _, parameter in named]
        self.sizes = [shape.numel() for shape in self.shapes]
        self.stacked = isinstance(module, nn.Sequential)

    @property
    def normalises_over_examples(self) -> bool:
        """Whether it has a batch normalisation, which differs between training and test time."""
        kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
        return any(isinstance(layer, kinds) for layer in self.module.modules())

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(self.sizes)

    def start(self, rng: np.random.Generator) -> Tensor:
        """He's normal start (the last layer's variance 1 / fan-in), scales one, shifts zero.

        Returns:
            Shape (size,), float64.

        Source: He et al. 2015, (10).
        """
        last = [n for n, s in zip(self.names, self.shapes, strict=True) if len(s) > 1][-1]
        parts = []
        for name, shape in zip(self.names, self.shapes, strict=True):
            if len(shape) > 1:
                spread = math.sqrt((1.0 if name == last else 2.0) / shape[1:].numel())
                parts.append(spread * rng.standard_normal(shape.numel()))
            else:
                parts.append(np.full(shape.numel(), float(name.endswith("weight"))))
        return torch.from_numpy(np.concatenate(parts))

    def split(self, w: Tensor) -> list[Tensor]:
        """The parameters of w (*batch, size), each (*batch, *shape)."""
        parts = torch.split(w, self.sizes, dim=-1)
        return [
            part.reshape(*w.shape[:-1], *shape)
            for part, shape in zip(parts, self.shapes, strict=True)
        ]

    def named(self, w: Tensor) -> dict[str, Tensor]:
        """The parameters of one copy, w (size,), by name."""
        return dict(zip(self.names, self.split(w), strict=True))

    def logits(self, w: Tensor, X: Tensor, statistics: Statistics | None = None) -> Tensor:
        """Logits of each copy on images of its own.

        Args:
            w: shape (S, size).
            X: shape (S, n, *image).
            statistics: of the normalisations over examples, in place of those of X.

        Returns:
            Shape (S, n, k), the dtype of w.
        """
        with self.casting(w):
            return self._logits(w, X, statistics).to(w.dtype)

    def casting(self, w: Tensor) -> torch.autocast | nullcontext[None]:
        """The context in which products are taken in the dtype of `autocast`."""
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(w.device.type, dtype=self.autocast)

    def _logits(self, w: Tensor, X: Tensor, statistics: Statistics | None) -> Tensor:
        if isinstance(self.module, nn.Sequential):
            given = None if statistics is None else iter(_pairs(statistics))
            return Pass(iter(self.split(w)), 1, statistics=given).through(self.module, X)
        self.module.train(statistics is None)
        buffers = statistics if isinstance(statistics, dict) else {}
        return torch.stack([self._one(k, w[k], X[k], buffers) for k in range(len(w))])

    def _one(self, k: int, w: Tensor, X: Tensor, buffers: dict[str, Tensor]) -> Tensor:
        """The module's output for copy k, with its own of the stacked buffers."""
        self.module.to(w.device)  # its own buffers, which a training pass writes to
        if self.autocast is not None and X.ndim == 4:
            X = X.contiguous(memory_format=torch.channels_last)
        own = self.named(w) | {name: stack[k] for name, stack in buffers.items()}
        logits: Tensor = functional_call(self.module, own, (X,))
        return logits

    def statistics(self, w: Tensor, batches: Iterable[Tensor]) -> Statistics:
        """Test-time statistics of the normalisations: their mean over batches, at w itself.

        Batches of the training set replace the running average over earlier iterates, so that they
        are a function of w (Wu and Johnson 2021, Sec. 3).

        Args:
            w: shape (S, size).
            batches: images, each (S, b, *image).
        """
        with torch.no_grad(), self.casting(w):
            if isinstance(self.module, nn.Sequential):
                return _mean([self._seen(self.module, w, X) for X in batches])
            return self._buffers(w, list(batches))

    def _buffers(self, w: Tensor, batches: list[Tensor]) -> dict[str, Tensor]:
        """A module's own running statistics, started anew, after its training pass over batches."""
        found = {
            name: torch.stack([torch.zeros_like(buffer, device=w.device)] * len(w))
            for name, buffer in self.module.named_buffers()
        }
        self.module.train()
        for X in batches:
            for k in range(len(w)):
                self._one(k, w[k], X[k], found)
        return found

    def _seen(self, module: nn.Sequential, w: Tensor, X: Tensor) -> list[tuple[Tensor, Tensor]]:
        found = Pass(iter(self.split(w)), 1, watch=True)
        found.through(module, X)
        return found.seen


def _pairs(statistics: Statistics) -> list[tuple[Tensor, Tensor]]:
    if isinstance(statistics, dict):
        raise TypeError("a stacked network takes its statistics as pairs")
    return statistics


def _mean(seen: list[list[tuple[Tensor, Tensor]]]) -> list[tuple[Tensor, Tensor]]:
    return [
        (torch.stack([m for m, _ in layer]).mean(0), torch.stack([v for _, v in layer]).mean(0))
        for layer in zip(*seen, strict=True)
    ]
