"""From tensors to what the kernels read: flat batches, whole lanes, one number a problem."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

#: Rows are padded with zeros to a multiple of this; padded entries of w stay zero.
LANES = 8

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class NotCovered(Exception):
    """A run that the fused engine does not do; says what stands in the way."""


class Indexed(NamedTuple):
    """Arrays without their repetitions, and which of them each problem has."""

    data: Floats
    of: Integers


def padded(size: int) -> int:
    """Size up to whole lanes."""
    return -(-size // LANES) * LANES


def per_problem(name: str, value: float | Tensor, batch: torch.Size, ndim: int) -> Floats:
    """One number a problem, shape (B,), of a setting that broadcasts over (*batch, *parameter).

    Raises:
        NotCovered: it differs between the entries of a parameter, or not over this batch.
    """
    tensor = torch.as_tensor(value, dtype=torch.float64)
    trailing = tensor.shape[max(tensor.ndim - ndim, 0) :]
    if any(size != 1 for size in trailing):
        raise NotCovered(f"{name} with one value for each entry of a parameter")
    leading = tensor.reshape(tensor.shape[: max(tensor.ndim - ndim, 0)])
    try:
        whole = leading.broadcast_to(batch)
    except RuntimeError:
        raise NotCovered(f"{name} with a batch that the start does not have") from None
    return np.ascontiguousarray(whole.reshape(-1).numpy())


def indexed(tensor: Tensor, batch: torch.Size, ndim: int) -> Indexed:
    """The distinct arrays (their last `ndim` dimensions) behind a batch, float64.

    Raises:
        NotCovered: they come with a batch that the start does not have.
    """
    own = tensor.shape[: tensor.ndim - ndim]
    try:
        of = torch.arange(own.numel()).reshape(own).broadcast_to(batch)
    except RuntimeError:
        raise NotCovered("data with a batch that the start does not have") from None
    flat = tensor.reshape(own.numel(), *tensor.shape[tensor.ndim - ndim :])
    return Indexed(flat.to(torch.float64).numpy(), np.ascontiguousarray(of.reshape(-1).numpy()))


def examples(X: Tensor, batch: torch.Size, *, transposed: bool) -> Indexed:
    """X as (data sets, n, padded d), or (data sets, d, padded n) if transposed."""
    data, of = indexed(X.mT if transposed else X, batch, 2)
    return Indexed(pad(data), of)


def pad(data: Floats) -> Floats:
    """The last dimension filled up with zeros to whole lanes."""
    wide = np.zeros((*data.shape[:-1], padded(data.shape[-1])))
    wide[..., : data.shape[-1]] = data
    return wide
