"""From tensors to what the kernels read: flat batches, whole lanes, one number a problem."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limitpoint.numerics import Scaled

#: Rows are padded with zeros to a multiple of this; padded entries of w stay zero.
LANES = 8
#: Bytes of a cache line.
LINE = 64
#: All problems of a batch.
EVERY = slice(None)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class NotCovered(Exception):  # noqa: N818 - it is no error
    """A run that the fused engine does not do; says what stands in the way."""


class Indexed(NamedTuple):
    """Arrays without their repetitions, and which of them each problem has."""

    data: Floats
    of: Integers


def padded(size: int) -> int:
    """Size up to whole lanes."""
    return -(-size // LANES) * LANES


def room(*shape: int) -> Floats:
    """Zeros that begin at a cache line, so that no lanes straddle two."""
    count = math.prod(shape)
    bytes_ = np.zeros(8 * count + LINE, dtype=np.uint8)
    skipped = -bytes_.ctypes.data % LINE
    return bytes_[skipped : skipped + 8 * count].view(np.float64).reshape(shape)


def spread(name: str, own: torch.Size, batch: torch.Size) -> Tensor:
    """Which entry of a batch of shape `own` each problem of the whole batch has, shape (B,).

    Raises:
        NotCovered: it does not broadcast over the whole batch.
    """
    try:
        return torch.arange(own.numel()).reshape(own).broadcast_to(batch).reshape(-1)
    except RuntimeError:
        raise NotCovered(f"{name} with a batch that the start does not have") from None


def per_problem(name: str, value: float | Tensor, batch: torch.Size, ndim: int) -> Floats:
    """One number a problem, shape (B,), of a setting that broadcasts over (*batch, *parameter).

    Raises:
        NotCovered: it differs between the entries of a parameter, or not over this batch.
    """
    tensor = torch.as_tensor(value, dtype=torch.float64)
    own = tensor.shape[: max(tensor.ndim - ndim, 0)]
    if tensor.numel() != own.numel():
        raise NotCovered(f"{name} with one value for each entry of a parameter")
    return np.ascontiguousarray(tensor.reshape(-1)[spread(name, own, batch)].numpy())


def values(leaf: Tensor | Scaled | float, start: Tensor) -> tuple[Floats, Floats]:
    """Mantissas and exponents of what a rule keeps, for each entry of the start."""
    if isinstance(leaf, Scaled):
        mantissa, exponent = leaf.mantissa, leaf.exponent
    else:
        mantissa = torch.as_tensor(leaf, dtype=torch.float64)
        exponent = torch.zeros_like(mantissa)
    return tuple(part.broadcast_to(start.shape).numpy() for part in (mantissa, exponent))  # type: ignore[return-value]


def indexed(tensor: Tensor, batch: torch.Size, ndim: int, part: slice = EVERY) -> Indexed:
    """The distinct arrays (their last `ndim` dimensions) behind part of a batch, float64."""
    own = tensor.shape[: tensor.ndim - ndim]
    # numpy makes the copy: torch's threads would wait for one another longer than it takes.
    flat = tensor.numpy().reshape(own.numel(), *tensor.shape[tensor.ndim - ndim :])
    of = np.ascontiguousarray(spread("data", own, batch).numpy()[part])
    if part != EVERY:
        distinct, of = np.unique(of, return_inverse=True)
        first, last = int(distinct[0]), int(distinct[-1])
        # What lies together is no copy.
        flat = flat[first : last + 1] if len(distinct) == last - first + 1 else flat[distinct]
    return Indexed(np.ascontiguousarray(flat, dtype=np.float64), of)


def examples(X: Tensor, batch: torch.Size, part: slice = EVERY, *, transposed: bool) -> Indexed:
    """X as (data sets, n, padded d), or (data sets, d, padded n) if transposed."""
    data, of = indexed(X, batch, 2, part)
    if transposed:
        return Indexed(pad(data.swapaxes(1, 2)), of)
    whole = data.shape[-1] % LANES == 0 and data.ctypes.data % LINE == 0
    return Indexed(data if whole else pad(data), of)


def pad(data: Floats) -> Floats:
    """A copy with the last dimension filled up with zeros to whole lanes."""
    wide = room(*data.shape[:-1], padded(data.shape[-1]))
    wide[..., : data.shape[-1]] = data
    return wide
