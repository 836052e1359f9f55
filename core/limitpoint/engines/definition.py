"""The torch engine: a rule's own `step`, again and again. It is the definition of every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limitpoint.engines.checkpoints import Checkpoint, State
from limitpoint.engines.trajectory import Integrand, MakeRoom, Trajectory, Watcher
from limitpoint.errors import SubjectFailed
from limitpoint.optimizers import Rule
from limitpoint.optimizers.schedules import Number
from limitpoint.problems.problem import Oracle


def iterates(
    rule: Rule,
    oracle: Oracle | Callable[[int], Oracle],
    start: Tensor,
    steps: int,
    *,
    begin: tuple[int, Any] | None = None,
) -> Iterator[tuple[Tensor, Any]]:
    """w_0, w_1, ..., w_steps, each with what the rule keeps by then.

    Args:
        rule: the update rule.
        oracle: the problem, or the one that a step sees, given t.
        start: w_0, shape (*batch, *parameter).
        steps: how many.
        begin: the step that `start` is the iterate of, and what the rule keeps by then.
    """
    at = oracle if not isinstance(oracle, Oracle) else lambda t: oracle
    # Around each step and not around the loop: whoever takes an iterate has gradients as before.
    with torch.no_grad():
        first, state = (0, rule.init(at(0), start)) if begin is None else begin
        w = start.clone()
    for t in range(first, steps):
        yield w, state
        with torch.no_grad():
            w, state = rule.step(at(t), w, state, t)
    yield w, state


def trajectory(
    oracle: Oracle,
    rule: Rule,
    start: Tensor,
    integrals: Mapping[str, Integrand],
    grid: np.ndarray,
    watch: Watcher | None = None,
    checkpoint: Checkpoint | None = None,
    make_room: MakeRoom | None = None,
) -> Trajectory:
    """A run by its definition; see `limitpoint.run`.

    Args:
        oracle, rule, start, integrals, watch, checkpoint: as there.
        grid: recorded steps, ascending.
        make_room: makes the array of recorded iterates, where they are no tensors in memory.

    Raises:
        SubjectFailed: an iterate is not finite.
        UsageError: the checkpoint is another run's.
    """
    eta = rule.step_size.at(0)
    totals: dict[str, Number] = {"step_size": 0 * eta}
    totals |= {name: 0 * _weighted(eta, f(start)) for name, f in integrals.items()}
    now = State(0, start, rule.init(oracle, start), totals, [], {name: [] for name in totals})
    if checkpoint is not None:
        now = checkpoint.resumed(now, oracle, rule, grid)
    kept = None if make_room is None else make_room((len(grid), *start.shape))
    recorded, last = set(grid.tolist()), int(grid[-1])
    steps = iterates(rule, oracle, now.w, last, begin=(now.t, now.memory))
    for t, (w, memory) in enumerate(steps, start=now.t):
        now.t, now.w, now.memory = t, w, memory
        if checkpoint is not None and checkpoint.keep(now, last) and watch is not None:
            watch(now.t, last)
        if now.t in recorded:
            check_finite(now.w, now.t)
            now.record(kept)
            if watch is not None:
                watch(now.t, last)
        if now.t < last:
            eta = rule.step_size.at(now.t)
            now.totals["step_size"] = now.totals["step_size"] + eta
            for name, f in integrals.items():
                now.totals[name] = now.totals[name] + _weighted(eta, f(now.w))
    w = torch.stack(now.kept) if kept is None else torch.from_numpy(kept)
    return Trajectory(grid, w, {name: _stacked(sums) for name, sums in now.sums.items()})


def _stacked(sums: Sequence[Number]) -> Tensor:
    return torch.stack([torch.as_tensor(each, dtype=torch.float64) for each in sums])


def _weighted(eta: Number, value: Tensor) -> Tensor:
    """eta * value; a batched eta (B, 1, ...) drops or gains dimensions of size one to fit value."""
    if isinstance(eta, Tensor) and value.ndim and eta.ndim > value.ndim:
        eta = eta.reshape(eta.shape[: value.ndim])
    return eta * value


def check_finite(w: Tensor, t: int) -> None:
    """Raise SubjectFailed unless the iterate of step t is finite."""
    # On a processor numpy looks: torch's threads would wait for one another longer than it takes.
    finite = np.isfinite(w.detach().numpy()) if w.device.type == "cpu" else torch.isfinite(w)
    if not bool(finite.all()):
        kind = "NaN" if bool(torch.isnan(w).any()) else "infinite"
        raise SubjectFailed(f"an iterate is {kind} at step {t} or just before")
