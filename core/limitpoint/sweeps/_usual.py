"""What is measured of any rule on any problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limitpoint.engines.trajectory import Trajectory
from limitpoint.problems.losses import MarginLoss, MulticlassLoss
from limitpoint.problems.problem import Problem
from limitpoint.sweeps._grid import Grid
from limitpoint.sweeps._map import Map
from limitpoint.sweeps._runs import Runs
from limitpoint.theory import measures
from limitpoint.theory.limits import NotSeparable, max_margin

NORMS = {"1": 1.0, "2": 2.0, "max": np.inf}


def of_rule(
    rule: str, problem: str, axes: Grid, *, steps: int, record: int = 1,
    fixed: Mapping[str, Any] | None = None,
) -> Map:  # fmt: skip
    """A map of a rule on a problem: the loss, and which norm was kept small or which margin large.

    Args:
        rule: a role.
        problem: the name of a function in `limitpoint.problems`.
        axes: settings of either.
        steps: of each run, >= 1.
        record: at how many steps, by ratio, a row is left; at the end alone by default.
        fixed: settings that all points have.

    Raises:
        UsageError: there is no such thing, or a setting is missing.
    """
    kept = np.unique(np.geomspace(1, steps, record + 1).round().astype(int))[-record:].tolist()
    given = dict(fixed or {})
    runs = Runs(rule, problem, steps, usual, kept, given)
    if runs.takes("seed") and "seed" not in axes:
        runs = replace(runs, fixed={"seed": 42, **given})
    runs.check(axes)
    said = [f"{name}={value}" for name, value in runs.fixed.items()]
    name = ", ".join([f"{rule} on {problem}", *said, f"{steps} steps"])
    title = f"{rule} on {problem} over {', '.join(axes)}"
    return Map(name, title, axes, runs, rows_a_point=len(kept))


def usual(problem: Problem, path: Trajectory, **_: Tensor) -> Mapping[str, Tensor]:
    """The log of the loss, norms of the predictor, and of a classifier shares of largest margins.

    A share is the margin over the norm, relative to the certified maximum of that.
    """
    found = {"step": torch.from_numpy(path.times).expand(path.w.shape[1], -1)}
    found["log_loss"] = problem.log_value(path.w).T
    predictor = getattr(problem.model, "predictor", None)
    w, ndim = (path.w, problem.ndim) if predictor is None else (predictor(path.w), 1)
    norms = {name: measures.matrix_norm(w, p, ndim).T for name, p in NORMS.items()}
    if isinstance(problem.loss, MarginLoss | MulticlassLoss):
        margin, best = measures.margin(problem, path.w).T, largest_margins(problem)
        shares = {n: margin / norms[n] / best[p].unsqueeze(-1) for n, p in NORMS.items()}
        found |= {f"share_{name}": share for name, share in shares.items()}
    return found | {f"norm_{name}": norm for name, norm in norms.items()}


def largest_margins(problem: Problem) -> dict[float, Tensor]:
    """The certified largest margin in each of `NORMS`, shape (B,); NaN where there is none."""
    known: dict[bytes, list[float]] = {}
    found = []
    for X, y in zip(problem.X, problem.y, strict=True):
        key = X.numpy().tobytes() + y.numpy().tobytes()
        if key not in known:
            known[key] = [_largest(X, y, p, problem.classes) for p in NORMS.values()]
        found.append(known[key])
    columns = torch.tensor(found, dtype=torch.float64).unbind(-1)
    return dict(zip(NORMS.values(), columns, strict=True))


def _largest(X: Tensor, y: Tensor, norm: float, classes: int | None) -> float:
    try:
        return max_margin(X, y, norm, classes=classes).value
    except NotSeparable:
        return float("nan")
