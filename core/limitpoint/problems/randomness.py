"""Randomness with a name: no two problems share a stream, and a stream never moves."""

import numpy as np
import torch
from torch import Tensor


def generator(name: str, seed: int) -> np.random.Generator:
    """PCG64 keyed by the problem's name and the seed."""
    key = tuple(name.encode())
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def tensor(array: np.ndarray) -> Tensor:
    """float64, or int64 for labels."""
    kind = np.int64 if np.issubdtype(array.dtype, np.integer) else np.float64
    return torch.from_numpy(np.ascontiguousarray(array, dtype=kind))
