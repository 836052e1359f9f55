"""What a run leaves behind."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limitpoint.optimizers.rule import Arrays, Rule
from limitpoint.problems.problem import Oracle

Integrand = Callable[[Tensor], Tensor]
#: Called with (step, last step).
Watcher = Callable[[int, int], None]
#: Called with an iterate that is recorded, and its step.
OnRecord = Callable[[Tensor, int], None]
MakeRoom = Callable[[tuple[int, ...]], NDArray[np.float64]]


def log_grid(steps: int, per_decade: int = 20) -> np.ndarray:
    """Recorded steps: 0, then a log-spaced grid from 1 to `steps`, both ends included; int64."""
    if steps < 1:
        return np.zeros(1, dtype=np.int64)
    points = int(np.ceil(per_decade * np.log10(max(steps, 10)))) + 1
    grid = np.rint(np.geomspace(1, steps, points)).astype(np.int64)
    return np.unique(np.concatenate([[0], grid]))


def make_room(shape: tuple[int, ...], store: Path | None = None) -> NDArray[np.float64]:
    """An array for what is recorded: in memory, or mapped into the file `w.npy` of a folder."""
    if store is None:
        return np.empty(shape)
    store.mkdir(parents=True, exist_ok=True)
    return np.lib.format.open_memmap(store / "w.npy", mode="w+", dtype=np.float64, shape=shape)


def release(kept: NDArray[np.float64]) -> None:
    """Leave a mapped array to its file: what was written stays, and its memory is free."""
    mapped = getattr(kept, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Iterates at the recorded times, and the integrals up to them.

    Args:
        times: steps (int64) of a discrete run, or times (float64) of a flow, shape (R,).
        w: iterates, shape (R, *batch, *parameter).
        integrals: sum of eta_t f(w_t) over the steps before each recorded time (integral of f dt
            for a flow), shape (R, ...). "step_size" is the sum of the step sizes S.
    """

    times: np.ndarray
    w: Tensor
    integrals: dict[str, Tensor] = field(default_factory=dict)

    @property
    def final(self) -> Tensor:
        """The last iterate."""
        return self.w[-1]

    def at(self, time: float) -> Tensor:
        """The iterate recorded at a time; KeyError, naming the nearest, if it was not recorded."""
        index = int(np.abs(self.times - time).argmin())
        if self.times[index] != time:
            raise KeyError(f"time {time} was not recorded; the nearest is {self.times[index]}")
        return self.w[index]

    def to(self, device: torch.device | str) -> Trajectory:
        """The same trajectory on another device."""
        integrals = {name: total.to(device) for name, total in self.integrals.items()}
        return Trajectory(self.times, self.w.to(device), integrals)

    def arrays(self) -> Arrays:
        """The same as plain arrays: what crosses the border of a process."""
        sums = {f"of {name}": total.numpy(force=True) for name, total in self.integrals.items()}
        return {"times": self.times, "w": self.w.numpy(force=True), **sums}

    @classmethod
    def of(cls, arrays: Arrays) -> Trajectory:
        """The inverse of `arrays`."""
        found = {name: torch.from_numpy(arrays[name]) for name in arrays if name != "times"}
        w = found.pop("w")
        return cls(arrays["times"], w, {name[3:]: total for name, total in found.items()})


def apart(
    rule: Rule,
    work: Callable[[], Trajectory],
    oracle: Oracle,
    start: Tensor,
    watch: Callable[[int], None] | None = None,
) -> Trajectory:
    """A run, taken where its rule has to be: see `Rule.apart`."""
    if not rule.is_foreign:
        return work()
    return Trajectory.of(rule.apart(lambda: work().arrays(), oracle, start, watch))
