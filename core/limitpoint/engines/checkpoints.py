"""Long runs leave their state behind, and go on from it."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limitpoint.errors import UsageError
from limitpoint.optimizers import Rule
from limitpoint.optimizers.schedules import Number
from limitpoint.problems.problem import Oracle

#: In place of an iterate that an array holds.
ELSEWHERE = torch.zeros(0)


@dataclass
class State:
    """A run before step t.

    Args:
        t: the step that comes next.
        w: the iterate.
        memory: the rule's own state.
        totals: the integrals so far, by name.
        kept: recorded iterates.
        sums: the integrals at the recorded steps, by name.
    """

    t: int
    w: Tensor
    memory: Any
    totals: dict[str, Number]
    kept: list[Tensor]
    sums: dict[str, list[Number]]

    def record(self, room: np.ndarray | None) -> None:
        """Keep the iterate, in an array if there is one, and the integrals."""
        if room is not None:
            room[len(self.kept)] = self.w.numpy()
        self.kept.append(self.w.clone() if room is None else ELSEWHERE)
        for name, total in self.totals.items():
            self.sums[name].append(total)


def _check(found: State, start: State) -> None:
    """Raise unless a state that was read is like the one at the start."""
    if type(found.t) is not int or found.t < 0 or _shape(found.w) != _shape(start.w):
        raise TypeError("no state of this run")
    for form in ("totals", "sums"):
        if not isinstance(getattr(found, form), dict) or (
            getattr(found, form).keys() != getattr(start, form).keys()
        ):
            raise TypeError(f"no {form} of this run")
    columns = [found.kept, *found.sums.values()]
    if any(not isinstance(column, list) or len(column) != len(found.kept) for column in columns):
        raise TypeError("no record of this run")
    if any(_shape(w) != _shape(start.w) for w in found.kept):
        raise TypeError("no iterates of this run")


def _shape(w: object) -> object:
    return (w.shape, w.dtype) if isinstance(w, Tensor) else None


@dataclass
class Checkpoint:
    """The file of one run.

    Args:
        path: of the file; its folder is made when the first state is written.
        every: seconds between two states, and from the start to the first.
    """

    path: Path
    every: float = 60.0
    _run: str = field(default="", init=False)
    _saved: float = field(default=0.0, init=False)

    def resumed(self, start: State, oracle: Oracle, rule: Rule, grid: np.ndarray) -> State:
        """The state that the same run left behind, or its start.

        Raises:
            UsageError: the file is another run's, or no checkpoint.
        """
        about = (getattr(oracle, "name", ""), getattr(oracle, "digest", ""), rule, grid.tolist())
        self._run = hashlib.sha256(repr(about).encode()).hexdigest()[:16]
        self._saved = time.monotonic()
        if not self.path.exists():
            return start
        try:
            found = torch.load(self.path, map_location=start.w.device, weights_only=True)
            run, state = found.pop("run"), State(**found)
            _check(state, start)
        except Exception as exc:  # whatever a damaged file makes torch raise
            problem = type(exc).__name__
            raise UsageError(f"{self.path}: no checkpoint ({problem}): remove it") from None
        if run != self._run:
            raise UsageError(f"{self.path}: of a run with other settings: remove it")
        return state

    def keep(self, state: State, last: int) -> bool:
        """Write the state if it is time to, or at the end of a run that was written before."""
        ended = state.t == last and self.path.exists()
        if not ended and time.monotonic() - self._saved < self.every:
            return False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        torch.save(
            {"run": self._run} | {f.name: getattr(state, f.name) for f in fields(state)}, part
        )
        part.replace(self.path)
        self._saved = time.monotonic()
        return True
