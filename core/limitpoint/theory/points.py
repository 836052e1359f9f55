"""Points of every kind on multiclass problems, for lemmas that hold at all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from limitpoint import optimizers, problems
from limitpoint.engines.run import run
from limitpoint.optimizers.schedules import StepSize
from limitpoint.problems.problem import Problem
from limitpoint.theory import limits
from limitpoint.theory.measures import reach


def gaussian(seed: int, *shape: int) -> Tensor:
    """Standard normal entries."""
    noise = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=noise, dtype=torch.float64)


def separator(problem: Problem) -> Tensor:
    """The maximum-margin W of unit 2-norm."""
    best = limits.max_margin(problem.X, problem.y, 2.0, classes=problem.classes)
    return torch.as_tensor(best.solution)


def points(problem: Problem, seed: int) -> Tensor:
    """W at random over five decades of length, on a separating ray, and on two runs."""
    shape = problem.start.shape
    random = gaussian(seed, 5, 20, *shape) * (10.0 ** torch.arange(-1, 4)).reshape(-1, 1, 1, 1)
    ray = separator(problem) * torch.logspace(-1, 3, 60).reshape(-1, 1, 1)
    visited = [
        run(problem, rule(StepSize(1 / float(reach(problem, p)), 0.5)), 500).w
        for rule, p in ((optimizers.SignGD, math.inf), (optimizers.NGD, 2.0))
    ]
    return torch.cat([random.flatten(0, 1), ray, *visited])


def problems_with_points(seed: int) -> Iterator[tuple[Problem, Tensor]]:
    """Two clustered problems, and the two where inequalities are attained, with points."""
    for problem in (
        problems.clusters(seed, 4, 20, 5, 0.2),
        problems.clusters(seed, 6, 12, 3, 0.2),
        problems.mirrored_pair(seed),
        problems.axes(),
    ):
        yield problem, points(problem, seed)
