"""Searching for where a bound is tightest, and would break if it could."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy
import torch
from torch import Tensor


class Worst(NamedTuple):
    """What a search found.

    Args:
        ratio: the largest ratio.
        at: where, float64 (p,).
    """

    ratio: float
    at: Tensor


def worst_case(
    ratio: Callable[[Tensor], Tensor],
    bounds: Sequence[tuple[float, float]],
    seed: int,
    *,
    rounds: int = 20,
    candidates: int = 80,
) -> Worst:
    """Maximise a batched function over a box by differential evolution (Storn and Price 1997).

    Args:
        ratio: of (N, p) candidates, what was measured over what a bound allows, shape (N,); NaN
            counts as the smallest, so that a candidate can be left out.
        bounds: low and high of each of the p parameters.
        seed: of the search.
        rounds: generations after the first.
        candidates: in each generation, at least five.
    """

    def loss(x: np.ndarray, /) -> Any:
        found = ratio(torch.from_numpy(np.atleast_2d(x.T)))
        return np.asarray(-found.nan_to_num(nan=-1e6).numpy())

    low, high = np.array(bounds).T
    first = np.random.Generator(np.random.PCG64(seed)).uniform(low, high, (candidates, len(low)))
    within = scipy.optimize.Bounds(low, high)
    found = scipy.optimize.differential_evolution(
        loss, within, init=first, maxiter=rounds, vectorized=True, updating="deferred",
        polish=False, tol=0, seed=seed,
    )  # fmt: skip
    return Worst(-float(found.fun), torch.as_tensor(found.x))
