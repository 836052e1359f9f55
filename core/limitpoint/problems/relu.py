"""One-hidden-layer ReLU regression on twelve points (understanding_sam, Fig. 7)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from limitpoint.problems.losses import Squared
from limitpoint.problems.models import ReluNetwork
from limitpoint.problems.problem import Problem
from limitpoint.problems.randomness import generator, tensor

INPUTS = torch.arange(-5.5, 6.0, 1.0, dtype=torch.float64) / 4 + 0.07
TARGETS = 0.345 + torch.tensor([-2, 1.5, 0, 0, 2, 1, 0, -1, 0, 1, 2, -1], dtype=torch.float64)


def relu_regression(seed: int, count: int = 5, hidden: int = 100) -> Problem:
    """L = (1/2) sum_i (f(x_i) - y_i)^2 on twelve points, f a network of one hidden layer.

    The starts are of the authors' kind: u = +-2.5, b ~ 2.5 N(0, 1), v ~ 4 N(0, 1).

    Args:
        seed: of the starts.
        count: starts, side by side.
        hidden: units.

    Returns:
        Its start is (u, b, v) of each network, shape (count, 3, hidden).
    """
    rng = generator("relu-starts", seed)
    u = 2.5 * rng.choice([-1.0, 1.0], (count, hidden))
    b = 2.5 * rng.standard_normal((count, hidden))
    v = 4 * rng.standard_normal((count, hidden))
    start = tensor(np.stack([u, b, v], axis=1))
    X = INPUTS.unsqueeze(-1)
    return Problem("relu-regression", ReluNetwork(), Squared(), X, TARGETS, start)


def relu_function(w: Tensor, x: Tensor) -> Tensor:
    """f at points x (m,), shape (*batch, m)."""
    return ReluNetwork().predict(w, x.unsqueeze(-1))


def slope_variation(w: Tensor) -> Tensor:
    """Total variation of f' between the outermost inputs, shape (*batch).

    f' jumps by v_j |u_j| at the kink -b_j / u_j; kinks that coincide have probability zero.
    """
    u, b, v = w.unbind(-2)
    kink = -b / u
    inside = (kink > INPUTS[0]) & (kink < INPUTS[-1])
    return torch.where(inside, (v * u).abs(), torch.zeros_like(v)).sum(-1)
