"""Separable data on which the geometries lie far apart: each norm's maximum margin is its own.

How the tables were found: of about 150 draws of 7 Gaussian rows in 10 dimensions, the columns
scaled by exp(-c j / 2) in random order, c in [1.1, 1.7], the one was kept whose worst ratio is
least, the ratio of a pair of norms being the margin of one's certified solution, in the other, over
the other's certified optimum. From there, 3, 10 or 30% of the entries at a time were moved by a
normal number times up to 0.6 of their size, and a move was kept if it lowered the worst ratio; and,
once that was 0.77, if it lowered 2 sum (ratio - 0.785)_+ + 0.03 sum log(reach / optimum), the first
sum over the pairs, the second over the norms: `measures.reach` over the optimum says how slow an
optimizer is. Rounded to three decimals the ratios are under 0.8; tests/test_identify.py certifies
it.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from limitpoint.problems.losses import CrossEntropy
from limitpoint.problems.models import MulticlassLinear
from limitpoint.problems.problem import Problem
from limitpoint.problems.randomness import tensor

# fmt: off
_TABLES = (
    """
    -0.012  0.339  0.027 -0.146  0.003 -0.034  0.848  0.019  0.065  0.005
    -0.051  0.040 -0.063  0.014  0.039  0.060  0.779 -0.001 -0.003  0.028
    -0.046 -0.046  0.135  0.000  0.077  0.051 -1.000 -0.017 -0.068 -0.021
     0.248 -0.257 -0.007  0.518  0.039  0.023  0.083 -0.038  0.010 -0.020
     0.055  0.547  0.016 -0.292 -0.038  0.019 -0.616 -0.004 -0.017  0.000
    -0.048 -0.217  0.107  0.304 -0.018  0.004 -0.396  0.003  0.096 -0.015
    -0.016  0.896  0.002 -0.290 -0.046 -0.070  0.253  0.000 -0.001 -0.049
    """,
    """
     0.171  0.000 -0.022 -0.182 -0.053 -0.014 -0.035  0.088 -0.001 -0.312
     0.375  0.054 -0.023  0.010  0.869  0.024 -0.029 -0.016  0.000  0.023
     0.258 -0.002  0.068  0.102  1.000 -0.021  0.010  0.007  0.061  0.160
    -0.507  0.004 -0.017  0.012  0.168  0.076  0.031 -0.144  0.065 -0.444
    -0.620  0.028  0.030 -0.049  0.253 -0.002 -0.010 -0.098 -0.010 -0.095
    -0.171 -0.137 -0.003 -0.037 -0.850  0.005 -0.047  0.042  0.019 -0.041
    -0.688 -0.022 -0.018 -0.028  0.010 -0.062  0.027  0.134 -0.065  0.130
    """,
    """
     0.005  0.027  0.012 -0.120  0.769 -0.088  0.061 -0.097  0.105  0.000
    -0.200  0.117 -0.123  0.002 -0.272 -0.064  0.056  0.062  0.027 -0.131
     0.011 -0.002  0.027  0.987 -0.016  0.000 -0.049 -0.023  0.324  0.122
    -0.001 -0.060 -0.030 -1.000  0.279  0.089 -0.010 -0.105 -0.009 -0.020
     0.000  0.036  0.011 -0.991  0.008  0.062 -0.011 -0.003  0.008 -0.131
     0.006  0.148  0.007  0.929 -0.243 -0.024  0.033 -0.117  0.083  0.003
    -0.998  0.002 -0.067 -0.110  0.009  0.001  0.013  0.026  0.017  0.000
    """,
)
# fmt: on


def far_apart() -> tuple[Problem, ...]:
    """Seven classes of one example each, in ten dimensions, scaled so that the loss is 1-smooth.

    lambda_max(X^T X) / (2 n) = 1: gradient descent is stable for step sizes below 2. W starts at
    zero; cross-entropy.
    """
    return tuple(_problem(table, f"far-apart-{i}") for i, table in enumerate(_TABLES))


def _problem(table: str, name: str) -> Problem:
    X = np.array([line.split() for line in table.strip().splitlines()], dtype=np.float64)
    X *= math.sqrt(2 * len(X)) / np.linalg.norm(X, 2)
    start = torch.zeros(X.shape, dtype=torch.float64)
    return Problem(name, MulticlassLinear(), CrossEntropy(), tensor(X), torch.arange(len(X)), start)
