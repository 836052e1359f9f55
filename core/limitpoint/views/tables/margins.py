"""Which margin each optimizer maximises, by norm (signgd_adam, Section 5 and Appendix E)."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from limitpoint.engines.run import run
from limitpoint.optimizers import Adam, Rule, SpectralDescent, SteepestDescent
from limitpoint.optimizers.schedules import StepSize
from limitpoint.problems import clusters
from limitpoint.problems.problem import Problem
from limitpoint.theory.limits import Norm, max_margin
from limitpoint.theory.measures import normalised_margin, reach

NORMS: dict[str, Norm] = {
    "1-norm": 1.0,
    "2-norm": 2.0,
    "3-norm": 3.0,
    "max-norm": math.inf,
    "spectral norm": "spectral",
}


class Contender(NamedTuple):
    """An optimizer, and the norm whose margin theory says it maximises."""

    rule: Rule
    norm: str


def data(seed: int) -> Problem:
    """The clusters that all run on: k = 4, d = 20, 5 examples a class, sigma = .2."""
    return clusters(seed, k=4, d=20, per_class=5, sigma=0.2)


def contenders(problem: Problem) -> dict[str, Contender]:
    """By name, each with eta_t = 1 / (reach sqrt(t + 1)), the reach that of its own norm."""

    def paced(norm: str) -> StepSize:
        return StepSize(1 / float(reach(problem, NORMS[norm])), 0.5)

    steepest = {
        "coordinate descent": "1-norm",
        "NGD": "2-norm",
        "steepest, p = 3": "3-norm",
        "SignGD": "max-norm",
    }
    found = {
        name: Contender(SteepestDescent(paced(norm), p=float(NORMS[norm])), norm)
        for name, norm in steepest.items()
    }
    found["Adam"] = Contender(Adam(paced("max-norm"), beta1=0.9, beta2=0.95), "max-norm")
    found["spectral descent"] = Contender(SpectralDescent(paced("spectral norm")), "spectral norm")
    return found


def margins(steps: int = 10_000, seed: int = 42) -> pd.DataFrame:
    """Normalised margin over its certified optimum: a row an optimizer, a column a norm; at most 1.

    Args:
        steps: of each run, >= 1.
        seed: of the clusters.
    """
    problem = data(seed)
    rows = {
        name: _shares(problem, contender.rule, steps)
        for name, contender in contenders(problem).items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _shares(problem: Problem, rule: Rule, steps: int) -> dict[str, float]:
    final = run(problem, rule, steps, record=(steps,)).final
    X, y, k = problem.X, problem.y, problem.classes
    return {
        name: float(normalised_margin(problem, final, norm))
        / max_margin(X, y, norm, classes=k).value
        for name, norm in NORMS.items()
    }
