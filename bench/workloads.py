"""What is timed: a problem for each seed, and the rule that is run on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from limitpoint import Problem, losses, models, optimizers, problems
from limitpoint.optimizers import Rule
from limitpoint.problems.problem import stack

BATCHES = (1, 32, 256)


@dataclass(frozen=True)
class Workload:
    """A rule on a family of problems.

    Args:
        name: what the tables call it.
        title: what it is, in words.
        problem: the problem of a seed.
        rule: the update rule.
        tolerance: largest difference between two ways to run it, relative to the iterate.
    """

    name: str
    title: str
    problem: Callable[[int], Problem]
    rule: Rule
    tolerance: float = 1e-12

    def batch(self, size: int) -> Problem:
        """The problems of the seeds 0 .. size - 1 side by side, each with its own data."""
        return stack([self.problem(seed) for seed in range(size)])


def diagonal(seed: int, n: int = 20, d: int = 30) -> Problem:
    """Sparse regression with a diagonal linear network."""
    return problems.sparse_regression(seed, n, d)


def multiclass(seed: int, k: int = 10, d: int = 25, n: int = 500) -> Problem:
    """Cross-entropy of n examples around k centres."""
    return problems.clusters(seed, k, d, n // k)


def binary(seed: int, n: int = 200, d: int = 1024) -> Problem:
    """Logistic regression of n normal examples with rows of length about one, and random labels."""
    random = np.random.Generator(np.random.PCG64(seed))
    X = torch.from_numpy(random.standard_normal((n, d)) / d**0.5)
    y = torch.from_numpy(random.choice([-1.0, 1.0], n))
    start = torch.zeros(d, dtype=torch.float64)
    return Problem("binary", models.Linear(), losses.Logistic(mean=True), X, y, start)


#: Adam with the epsilon and the bias correction that torch and optax have. It divides a rounding
#: error in an entry of the gradient by the entry: the smallest of a batch's 64,000 is some 1e-6 of
#: the others, and its step has six digits less.
ADAM = optimizers.Adam(1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, bias_correction=True)
WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("1-SAM", "diagonal, n=20, d=30", diagonal, optimizers.OneSAM(0.01, rho=0.01)),
        Workload("Adam", "multiclass, k=10, d=25, n=500", multiclass, ADAM, 1e-8),
        Workload("GD", "binary logistic, n=200, d=1024", binary, optimizers.GD(1.0)),
        Workload("USAM", "binary logistic, n=200, d=1024", binary, optimizers.USAM(1.0, rho=0.1)),
    )
}
