"""The torch engine: a rule's own `step`, again and again. It is the definition of every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limitpoint.engines.trajectory import Trajectory
from limitpoint.errors import SubjectFailed
from limitpoint.optimizers import Rule
from limitpoint.problems.problem import Oracle

Integrand = Callable[[Tensor], Tensor]
Watcher = Callable[[int, int], None]


def iterates(
    rule: Rule, oracle: Oracle | Callable[[int], Oracle], start: Tensor, steps: int
) -> Iterator[tuple[Tensor, Any]]:
    """w_0, w_1, ..., w_steps, each with what the rule keeps by then.

    Args:
        rule: the update rule.
        oracle: the problem, or the one that a step sees, given t.
        start: w_0, shape (*batch, *parameter).
        steps: how many.
    """
    at = oracle if not isinstance(oracle, Oracle) else lambda t: oracle
    with torch.no_grad():
        w, state = start.clone(), rule.init(at(0), start)
        for t in range(steps):
            yield w, state
            w, state = rule.step(at(t), w, state, t)
    yield w, state


def trajectory(
    oracle: Oracle,
    rule: Rule,
    start: Tensor,
    integrals: Mapping[str, Integrand],
    grid: np.ndarray,
    watch: Watcher | None = None,
) -> Trajectory:
    """A run by its definition; see `limitpoint.run`.

    Args:
        oracle, rule, start, integrals, watch: as there.
        grid: recorded steps, ascending.

    Raises:
        SubjectFailed: an iterate is not finite.
    """
    integrands = {"step_size": lambda _: torch.ones((), dtype=torch.float64), **integrals}
    totals = {n: 0 * _weighted(rule.step_size.at(0), f(start)) for n, f in integrands.items()}
    kept: list[Tensor] = []
    sums: dict[str, list[Tensor]] = {name: [] for name in integrands}
    recorded, last = set(grid.tolist()), int(grid[-1])
    for t, (w, _) in enumerate(iterates(rule, oracle, start, last)):
        if t in recorded:
            check_finite(w, t)
            kept.append(w.clone())
            for name, total in totals.items():
                sums[name].append(total.clone())
            if watch is not None:
                watch(t, last)
        if t < last:
            eta = rule.step_size.at(t)
            for name, f in integrands.items():
                totals[name] = totals[name] + _weighted(eta, f(w))
    return Trajectory(grid, torch.stack(kept), {n: torch.stack(s) for n, s in sums.items()})


def _weighted(eta: float | Tensor, value: Tensor) -> Tensor:
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
