"""One-hidden-layer ReLU regression on twelve points (understanding_sam, Fig. 7; FACTS 4.2)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from limitpoint.problem import Objective
from limitpoint.problems._random import generator, tensor

INPUTS = torch.arange(-5.5, 6.0, 1.0, dtype=torch.float64) / 4 + 0.07
TARGETS = 0.345 + torch.tensor([-2, 1.5, 0, 0, 2, 1, 0, -1, 0, 1, 2, -1], dtype=torch.float64)


def _layers(w: Tensor) -> Tensor:
    """(u, b, v) as (*batch, 3, hidden)."""
    return w.reshape(*w.shape[:-1], 3, -1)


def relu_regression() -> Objective:
    """L = (1/2) sum_i (f(x_i) - y_i)^2 with f(x) = sum_j v_j max(u_j x + b_j, 0), twelve points.

    The parameter is (u, b, v), shape (*batch, 3 * hidden).
    """

    affine = torch.stack([INPUTS, torch.ones_like(INPUTS)])

    def forward(w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """v, the hidden units (*batch, hidden, 12) and the residuals."""
        layers = _layers(w)
        v = layers[..., 2:, :]
        hidden = (layers[..., :2, :].mT @ affine).relu_()
        return v, hidden, v @ hidden - TARGETS

    def value(w: Tensor) -> Tensor:
        return (forward(w)[2] ** 2).sum((-2, -1)) / 2

    def gradient(w: Tensor) -> Tensor:
        v, hidden, r = forward(w)
        first = v * (affine @ ((hidden > 0) * r).mT)
        return torch.cat([first, r @ hidden.mT], dim=-2).flatten(-2)

    return Objective("relu-regression", value, gradient, {"minimum": 0.0})


def relu_starts(seed: int, count: int = 5, hidden: int = 100) -> Tensor:
    """Random starts of the authors' kind: u = +-2.5, b ~ 2.5 N(0, 1), v ~ 4 N(0, 1).

    Returns:
        Shape (count, 3 * hidden), float64.
    """
    rng = generator("relu-starts", seed)
    u = 2.5 * rng.choice([-1.0, 1.0], (count, hidden))
    b = 2.5 * rng.standard_normal((count, hidden))
    v = 4 * rng.standard_normal((count, hidden))
    return tensor(np.concatenate([u, b, v], axis=1))


def relu_function(w: Tensor, x: Tensor) -> Tensor:
    """f at points x (m,), shape (*batch, m)."""
    u, b, v = _layers(w).unbind(-2)
    hidden = (u.unsqueeze(-1) * x + b.unsqueeze(-1)).clamp(min=0)
    return (v.unsqueeze(-2) @ hidden).squeeze(-2)


def slope_variation(w: Tensor) -> Tensor:
    """Total variation of f' between the outermost inputs, shape (*batch).

    f' jumps by v_j |u_j| at the kink -b_j / u_j; kinks that coincide have probability zero.
    """
    u, b, v = _layers(w).unbind(-2)
    kink = -b / u
    inside = (kink > INPUTS[0]) & (kink < INPUTS[-1])
    return torch.where(inside, (v * u).abs(), torch.zeros_like(v)).sum(-1)
