"""Tensors carried as mantissa x exp(log-scale).

On separable data the loss of a fast optimizer reaches e^-400 within a few thousand steps; the
squared gradient then leaves float64's range, and Adam run in plain float64 *refutes its own
theorem falsely*. A `Scaled` tensor keeps the mantissa near one and the exponent beside it, so that
ratios such as m / sqrt(v), the only thing the iterates see, stay exact to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import torch
from torch import Tensor


class Scaled:
    """A tensor `mantissa * exp(log_scale)`; float64.

    `log_scale` broadcasts against `mantissa`; along the dimensions where its size is one the
    entries share a scale. Supports `+ - * /` with tensors, numbers and other `Scaled`, `abs`,
    unary minus. Never stored denormal: see `normalized`.

    Args:
        mantissa: any shape, float64.
        log_scale: broadcastable to `mantissa`, float64, natural logarithm; finite.
    """

    __slots__ = ("log_scale", "mantissa")

    # Tensor.__mul__ and its kin must defer to the reflected methods below.
    __torch_function__ = torch._C._disabled_torch_function_impl

    def __init__(self, mantissa: Tensor, log_scale: Tensor) -> None:
        self.mantissa = mantissa
        self.log_scale = log_scale

    @property
    def shape(self) -> torch.Size:
        """Shape of the mantissa."""
        return self.mantissa.shape

    def tensor(self) -> Tensor:
        """The value as a plain tensor; underflows to zero where float64 does."""
        return self.mantissa * torch.exp(self.log_scale)

    def log_abs(self) -> Tensor:
        """Natural logarithm of the absolute value; -inf at exact zeros."""
        return self.mantissa.abs().log() + self.log_scale

    def normalized(self) -> Scaled:
        """The same value with the mantissas of each shared scale at most one in absolute value."""
        shared = [dim for dim in range(-self.mantissa.ndim, 0) if self._size(dim) == 1]
        peak = self.mantissa.abs()
        if shared:
            peak = peak.amax(dim=shared, keepdim=True)
        peak = torch.where(peak > 0, peak, torch.ones_like(peak))
        return Scaled(self.mantissa / peak, self.log_scale + peak.log())

    def _size(self, dim: int) -> int:
        return self.log_scale.shape[dim] if -dim <= self.log_scale.ndim else 1

    def aligned(self, dims: Sequence[int]) -> Scaled:
        """The same value with one scale shared along `dims`; entries far below it underflow."""
        if all(self._size(dim) == 1 for dim in dims):
            return self
        log_scale = self.log_scale.amax(dim=tuple(dims), keepdim=True)
        return Scaled(self.mantissa * torch.exp(self.log_scale - log_scale), log_scale)

    def __neg__(self) -> Scaled:
        return Scaled(-self.mantissa, self.log_scale)

    def __abs__(self) -> Scaled:
        return Scaled(self.mantissa.abs(), self.log_scale)

    def __mul__(self, other: Scaled | Tensor | float) -> Scaled:
        if isinstance(other, Scaled):
            return Scaled(self.mantissa * other.mantissa, self.log_scale + other.log_scale)
        return Scaled(self.mantissa * other, self.log_scale)

    __rmul__ = __mul__

    def __truediv__(self, other: Scaled | Tensor | float) -> Scaled:
        if isinstance(other, Scaled):
            return Scaled(self.mantissa / other.mantissa, self.log_scale - other.log_scale)
        return Scaled(self.mantissa / other, self.log_scale)

    @overload
    def __add__(self, other: Scaled) -> Scaled: ...
    @overload
    def __add__(self, other: Tensor | float) -> Tensor: ...
    def __add__(self, other: Scaled | Tensor | float) -> Scaled | Tensor:
        """Sum; with a plain tensor a plain tensor, as that is where a step meets the iterate."""
        if not isinstance(other, Scaled):
            return self.tensor() + other
        top = torch.maximum(self.log_scale, other.log_scale)
        return Scaled(
            self.mantissa * torch.exp(self.log_scale - top)
            + other.mantissa * torch.exp(other.log_scale - top),
            top,
        )

    __radd__ = __add__

    @overload
    def __sub__(self, other: Scaled) -> Scaled: ...
    @overload
    def __sub__(self, other: Tensor | float) -> Tensor: ...
    def __sub__(self, other: Scaled | Tensor | float) -> Scaled | Tensor:
        return self + (-other)

    def __rsub__(self, other: Tensor | float) -> Tensor:
        return other - self.tensor()

    def __repr__(self) -> str:
        return f"Scaled(mantissa={self.mantissa!r}, log_scale={self.log_scale!r})"


Value = Tensor | Scaled


def sqrt(x: Value) -> Value:
    """Entrywise square root of a non-negative value."""
    if isinstance(x, Scaled):
        return Scaled(x.mantissa.sqrt(), x.log_scale / 2)
    return x.sqrt()


def square(x: Value) -> Value:
    """Entrywise square, at the same precision as the value."""
    if isinstance(x, Scaled):
        return Scaled(x.mantissa * x.mantissa, 2 * x.log_scale)
    return x * x


def sign(x: Value) -> Tensor:
    """Entrywise sign in {-1, 0, 1}."""
    return (x.mantissa if isinstance(x, Scaled) else x).sign()


def tensor(x: Value) -> Tensor:
    """The plain tensor behind a value."""
    return x.tensor() if isinstance(x, Scaled) else x


def rescaled(x: Value) -> Value:
    """The value with its mantissa near one, where it has one; keeps long recursions in range."""
    return x.normalized() if isinstance(x, Scaled) else x


@overload
def vector_norm(x: Scaled, p: float, dims: Sequence[int]) -> Scaled: ...
@overload
def vector_norm(x: Tensor, p: float, dims: Sequence[int]) -> Tensor: ...
def vector_norm(x: Value, p: float, dims: Sequence[int]) -> Value:
    """Entrywise p-norm over `dims`, kept as dimensions of size one.

    Args:
        x: any shape.
        p: in [1, inf].
        dims: dimensions that make up one parameter.

    Returns:
        The norm, `Scaled` if `x` is.
    """
    if isinstance(x, Scaled):
        # The scale stays as it is: x / norm is then exact, whatever the size of the logarithm.
        x = x.aligned(dims)
        return Scaled(vector_norm(x.mantissa, p, dims), x.log_scale)
    # Dividing by the largest entry first keeps x^p in range.
    peak = x.abs().amax(dim=tuple(dims), keepdim=True)
    peak = torch.where(peak > 0, peak, torch.ones_like(peak))
    return peak * torch.linalg.vector_norm(x / peak, p, dim=tuple(dims), keepdim=True)


def mean(x: Value, dim: int) -> Value:
    """Mean over one dimension, dropped."""
    if isinstance(x, Scaled):
        x = x.aligned([dim])
        return Scaled(x.mantissa.mean(dim), x.log_scale.squeeze(dim))
    return x.mean(dim)


def safe_ratio(x: Value, y: Value) -> Tensor:
    """x / y as a plain tensor, and zero where y is zero: a normalised step of a zero gradient."""
    denominator = y.mantissa if isinstance(y, Scaled) else y
    zero = denominator == 0
    guarded = torch.where(zero, torch.ones_like(denominator), denominator)
    if isinstance(y, Scaled):
        ratio = tensor(x * Scaled(1 / guarded, -y.log_scale))
    else:
        ratio = tensor(x / guarded)
    return torch.where(zero, torch.zeros_like(ratio), ratio)
