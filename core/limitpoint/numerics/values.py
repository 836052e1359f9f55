"""Functions of values, which are plain tensors or `Scaled` ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar, overload

import torch
from torch import Tensor

from limitpoint.numerics.scaled import Scaled, Value, scaled

P = ParamSpec("P")
T = TypeVar("T")


def primitive(function: Callable[P, T]) -> Callable[P, T]:
    """Mark a function that is compiled by hand: a rule that is traced calls it by its name."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if symbolic := getattr(args[0], "primitive", None):
            found: T = symbolic(function.__name__, *args[1:], *kwargs.values())
            return found
        return function(*args, **kwargs)

    return call


def tensor(x: Value) -> Tensor:
    """The plain tensor behind a value."""
    return x.tensor() if isinstance(x, Scaled) else x


def log(x: Value) -> Tensor:
    """Natural logarithm of a positive value."""
    return x.log_abs() if isinstance(x, Scaled) else x.log()


@overload
def sqrt(x: Scaled) -> Scaled: ...
@overload
def sqrt(x: Tensor) -> Tensor: ...
def sqrt(x: Value) -> Value:
    """Entrywise square root of a non-negative value."""
    return x.sqrt()


@overload
def square(x: Scaled) -> Scaled: ...
@overload
def square(x: Tensor) -> Tensor: ...
def square(x: Value) -> Value:
    """Entrywise square; of a plain tensor a plain one, which is zero where the entry is 1e-170."""
    return x * x


def sign(x: Value) -> Tensor:
    """Entrywise sign in {-1, 0, 1}."""
    return x.sign()


def maximum(x: Scaled, y: Scaled) -> Scaled:
    """The larger of each pair of entries."""
    return x.maximum(y)


@overload
def total(x: Scaled, dims: int | Sequence[int], *, keepdim: bool = False) -> Scaled: ...
@overload
def total(x: Tensor, dims: int | Sequence[int], *, keepdim: bool = False) -> Tensor: ...
def total(x: Value, dims: int | Sequence[int], *, keepdim: bool = False) -> Value:
    """Sum over dimensions."""
    return x.sum((dims,) if isinstance(dims, int) else tuple(dims), keepdim=keepdim)


@overload
def mean(x: Scaled, dim: int) -> Scaled: ...
@overload
def mean(x: Tensor, dim: int) -> Tensor: ...
def mean(x: Value, dim: int) -> Value:
    """Mean over one dimension, dropped."""
    return x.mean(dim)


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
    # Dividing by the largest entry first keeps x^p in range.
    peak = largest(x, dims)
    return peak * torch.linalg.vector_norm(ratio(x, peak), p, dim=tuple(dims), keepdim=True)


@overload
def largest(x: Scaled, dims: Sequence[int]) -> Scaled: ...
@overload
def largest(x: Tensor, dims: Sequence[int]) -> Tensor: ...
def largest(x: Value, dims: Sequence[int]) -> Value:
    """Largest absolute value over `dims`, kept as dimensions of size one."""
    if isinstance(x, Scaled):
        return x.largest(tuple(dims))
    return x.abs().amax(tuple(dims), keepdim=True)


def ratio(x: Value, y: Value) -> Tensor:
    """x / y as a plain tensor, and zero where y is zero: a normalised step of a zero gradient."""
    if isinstance(x, Scaled) or isinstance(y, Scaled):
        return scaled(x).over(scaled(y))
    zero = y == 0
    return torch.where(zero, 0.0, x / torch.where(zero, 1.0, y))


def stack(values: Sequence[Value], dim: int = 0) -> Value:
    """Values of one kind along a new dimension."""
    return _joined(torch.stack, values, dim)


def cat(values: Sequence[Value], dim: int = 0) -> Value:
    """Values of one kind, one after the other along a dimension."""
    return _joined(torch.cat, values, dim)


def _joined(join: Callable[..., Tensor], values: Sequence[Value], dim: int) -> Value:
    if not isinstance(values[0], Scaled):
        return join(list(values), dim)
    parts: Any = values
    return Scaled._of(
        join([x.mantissa for x in parts], dim),
        join([x.exponent for x in parts], dim),
        any(x.far for x in parts),
    )
