"""Many copies of a small network side by side, each layer of `torch.nn.Sequential` as one product.

The copies have weights of their own in a leading dimension, so that a layer is one batched matrix
product. Convolutions are products with the unfolded image. m-SAM's perturbation is the same in
every layer: one step along the gradient of a group of examples, which in an affine layer is
sum_j delta_j a_j^T over the group's rows (inputs a_j, slopes delta_j of the layer's output). It is
applied to new inputs as products with those rows (the Gram form, no weights written down) or as a
weight of the group's own, whichever costs less; both are exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class AffineAscent:
    """The gradient of a group of examples in an affine layer x -> W x + b.

    Args:
        a: the layer's inputs, shape (S, G, rows, inputs).
        delta: slopes of its outputs, shape (S, G, rows, outputs).
        bias: whether it has one.
        gram: keep the rows; else write the weight down.
    """

    a: Tensor
    delta: Tensor
    bias: bool
    gram: bool

    @cached_property
    def weight(self) -> Tensor:
        """sum_j delta_j a_j^T, shape (S, G, outputs, inputs)."""
        return self.delta.mT @ self.a

    @cached_property
    def square(self) -> Tensor:
        """The gradient's squared length, shape (S, G)."""
        of_bias = (self.delta.sum(-2) ** 2).sum(-1) if self.bias else 0.0
        if not self.gram:
            return (self.weight**2).sum((-2, -1)) + of_bias
        if self.a.shape[-2] == 1:
            return (self.a**2).sum((-2, -1)) * (self.delta**2).sum((-2, -1)) + of_bias
        return ((self.delta @ self.delta.mT) * (self.a @ self.a.mT)).sum((-2, -1)) + of_bias

    def __call__(self, x: Tensor) -> Tensor:
        """What it adds to the layer's output at inputs x, shape (S, G, rows, outputs)."""
        if not self.gram:
            moved = x @ self.weight.mT
            return moved + self.delta.sum(-2, keepdim=True) if self.bias else moved
        one = 1.0 if self.bias else 0.0
        if self.a.shape[-2] == 1:
            return ((x * self.a).sum(-1, keepdim=True) + one) * self.delta
        return (x @ self.a.mT + one) @ self.delta


@dataclass(frozen=True, eq=False)
class ScaleAscent:
    """The gradient of a group of examples in a channel's scale and shift, x -> gamma x + beta.

    Args:
        a: the normalised inputs, shape (S, G, m, channels, positions).
        delta: slopes of the outputs, the same shape.
    """

    a: Tensor
    delta: Tensor

    @cached_property
    def weight(self) -> Tensor:
        """Of gamma, shape (S, G, 1, channels, 1)."""
        return (self.a * self.delta).sum((-3, -1), keepdim=True)

    @cached_property
    def shift(self) -> Tensor:
        """Of beta, shape (S, G, 1, channels, 1)."""
        return self.delta.sum((-3, -1), keepdim=True)

    @property
    def square(self) -> Tensor:
        """The gradient's squared length, shape (S, G)."""
        return (self.weight**2 + self.shift**2).sum((-3, -2, -1))

    def __call__(self, x: Tensor) -> Tensor:
        """What it adds to the layer's output at x."""
        return x * self.weight + self.shift


Ascent = AffineAscent | ScaleAscent


@dataclass
class Pass:
    """One pass through the layers.

    Args:
        weights: parameters in the module's order, each with the leading dimension S.
        groups: G; the examples of a copy are G groups of m.
        ascents: of an earlier pass, one a layer with parameters.
        scale: what they are multiplied by, shape (S, G).
        statistics: means and variances that replace the batch's own, one pair a normalisation.
        keep: keep inputs and outputs of the layers with parameters.
        watch: keep the statistics of the batch.
        gram: see `AffineAscent`; None for whichever is cheaper.
    """

    weights: Iterator[Tensor]
    groups: int
    ascents: Iterator[Ascent] | None = None
    scale: Tensor | None = None
    statistics: Iterator[tuple[Tensor, Tensor]] | None = None
    keep: bool = False
    watch: bool = False
    gram: bool | None = None
    inputs: list[tuple[nn.Module, Tensor]] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    seen: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def through(self, module: nn.Sequential, x: Tensor) -> Tensor:
        """Logits (S, n, k) of images x (S, n, *image)."""
        for layer in module:
            x = self.layer(layer, x)
        return x

    def layer(self, layer: nn.Module, x: Tensor) -> Tensor:
        """Output of one layer, shape (S, n, ...)."""
        if isinstance(layer, nn.Linear):
            return self.affine(layer, x.unsqueeze(-2)).squeeze(-2)
        if isinstance(layer, nn.Conv2d):
            return self.convolution(layer, x)
        if isinstance(layer, nn.GroupNorm):
            flat = x.flatten(0, 1)
            normal = functional.group_norm(flat, layer.num_groups, eps=layer.eps)
            return self.scaled(layer, normal.reshape(x.shape))
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            return self.scaled(layer, self.standardised(layer, x))
        if isinstance(layer, nn.ReLU):
            return torch.relu(x)
        if isinstance(layer, nn.Flatten):
            return x.flatten(2)
        raise TypeError(f"{type(layer).__name__} has no stacked form: use the form 'vmap'")

    def affine(self, layer: nn.Module, x: Tensor) -> Tensor:
        """W x + b of x (S, n, positions, inputs), moved where there is an ascent."""
        weight = next(self.weights)
        has_bias = layer.bias is not None
        grouped = x.reshape(x.shape[0], self.groups, -1, x.shape[-1])
        flat = weight.flatten(2)
        out = x.flatten(1, 2) @ flat.mT
        if has_bias:
            out = out + next(self.weights).unsqueeze(1)
        out = out.reshape(*grouped.shape[:-1], flat.shape[-2])
        return self.moved(layer, grouped, out).reshape(*x.shape[:-1], flat.shape[-2])

    def convolution(self, layer: nn.Conv2d, x: Tensor) -> Tensor:
        """A convolution as an affine map of the unfolded image."""
        size, stride, padding = (
            layer.kernel_size,
            layer.stride,
            cast(tuple[int, int], layer.padding),
        )
        columns = functional.unfold(x.flatten(0, 1), size, padding=padding, stride=stride)
        rows = columns.mT.reshape(*x.shape[:2], columns.shape[-1], columns.shape[-2])
        out = self.affine(layer, rows).mT
        sides = [(x.shape[i - 2] + 2 * padding[i] - size[i]) // stride[i] + 1 for i in range(2)]
        return out.reshape(*out.shape[:3], *sides)

    def standardised(self, layer: nn.BatchNorm1d | nn.BatchNorm2d, x: Tensor) -> Tensor:
        """Each channel minus its mean over its deviation, within a group of examples."""
        grouped = x.reshape(x.shape[0], self.groups, -1, x.shape[2], x[0, 0, 0].numel())
        if self.statistics is not None:
            mean, variance = next(self.statistics)
        else:
            variance, mean = torch.var_mean(grouped, (2, 4), correction=0, keepdim=True)
            if self.watch:
                self.seen.append((mean, variance))
        return ((grouped - mean) / torch.sqrt(variance + layer.eps)).reshape(x.shape)

    def scaled(self, layer: nn.Module, x: Tensor) -> Tensor:
        """Gamma x + beta by channel, moved where there is an ascent."""
        gamma, beta = next(self.weights), next(self.weights)
        grouped = x.reshape(x.shape[0], self.groups, -1, x.shape[2], x[0, 0, 0].numel())
        shape = (-1, 1, 1, x.shape[2], 1)
        out = grouped * gamma.reshape(shape) + beta.reshape(shape)
        return self.moved(layer, grouped, out).reshape(x.shape)

    def moved(self, layer: nn.Module, x: Tensor, out: Tensor) -> Tensor:
        """The output, plus what the ascent adds; kept where it will be differentiated."""
        if self.ascents is not None and self.scale is not None:
            scale = self.scale.reshape(*self.scale.shape, *[1] * (out.ndim - 2))
            out = out + scale * next(self.ascents)(x)
        if self.keep:
            if not out.requires_grad:
                out.requires_grad_()
            self.inputs.append((layer, x))
            self.outputs.append(out)
        return out

    def ascended(self, loss: Tensor) -> list[Ascent]:
        """The groups' gradients, layer by layer, of a loss that is a sum over groups."""
        slopes = torch.autograd.grad(loss, self.outputs)
        return [
            self._ascent(layer, x.detach(), slope)
            for (layer, x), slope in zip(self.inputs, slopes, strict=True)
        ]

    def _ascent(self, layer: nn.Module, a: Tensor, delta: Tensor) -> Ascent:
        if not isinstance(layer, nn.Linear | nn.Conv2d):
            return ScaleAscent(a, delta)
        rows, size = a.shape[-2], (a.shape[-1], delta.shape[-1])
        cheaper = rows * sum(size) < size[0] * size[1]
        return AffineAscent(
            a, delta, layer.bias is not None, cheaper if self.gram is None else self.gram
        )
